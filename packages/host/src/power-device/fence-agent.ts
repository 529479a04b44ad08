import { accessSync, constants } from "node:fs";
import { isAbsolute, join } from "node:path";
import { type PowerDeviceConfig, QuorateError } from "@quorate/contracts";
import type { HostContext } from "../tools/host-context.ts";
import { runTool, toolEnvironment, toolFailed, toolMissing } from "../tools/run-tool.ts";
import type { PowerDevice } from "./power-device.ts";
import { readSecrets } from "./secrets-file.ts";

/** What `action=status` ends with; anything else says nothing of the host. */
const ON = 0;
const OFF = 2;
/** With 2 ends a shell that does not understand its script, too, and Python that dislikes an argument. */
const SAYS_OFF = /^status: off$/im;
/** An agent says its whole usage when it dislikes a parameter. */
const SAID_MOST = 300;

/** A power device driven by a program that speaks as Debian's fence-agents do. */
export function createFenceAgent(context: HostContext, config: PowerDeviceConfig): PowerDevice {
  const { agent, timeoutMs, parameters, secretsFile } = config;
  const call = async (action: "status" | "off", signal: AbortSignal) => {
    const secrets = secretsFile === null ? new Map<string, string>() : readSecrets(secretsFile);
    const lines = [["action", action], ...Object.entries(parameters), ...secrets];
    const input = lines.map(([key, value]) => `${key}=${value}\n`).join("");
    // On its input, never as arguments: those every process of the host may read.
    const answer = await runTool(context, [agent], { input, timeoutMs, signal, ownGroup: true });
    // Before it is cut: a piece of a secret is one too.
    const said = without(secrets, answer.errorOutput.trim() || answer.output.trim()).slice(0, SAID_MOST);
    const saysOff = answer.exitCode === OFF && SAYS_OFF.test(answer.output);
    return { exitCode: answer.exitCode, saysOff, words: `${action} ended with ${answer.exitCode}: ${said}` };
  };
  return {
    async isOff(signal) {
      const { exitCode, saysOff, words } = await call("status", signal);
      if (exitCode === ON || saysOff) return saysOff;
      throw toolFailed(agent, words);
    },
    async switchOff(signal) {
      const { exitCode, words } = await call("off", signal);
      if (exitCode !== 0) throw toolFailed(agent, words);
    },
  };
}

/** What can be known on this host beforehand: the agent is there, and its secrets can be read. Null: nothing is wrong. */
export function fenceAgentProblem({ agent, secretsFile }: PowerDeviceConfig): QuorateError | null {
  try {
    if (!isThere(agent)) return agentMissing(agent);
    if (secretsFile !== null) readSecrets(secretsFile);
    return null;
  } catch (error) {
    if (error instanceof QuorateError) return error;
    throw error;
  }
}

function agentMissing(agent: string): QuorateError {
  const { code, message } = toolMissing(agent);
  return new QuorateError(
    code,
    message,
    "Install it on every node that may lead: apt-get install fence-agents",
  );
}

function isThere(agent: string): boolean {
  const folders = (toolEnvironment()["PATH"] ?? "").split(":").filter((folder) => folder !== "");
  const places = isAbsolute(agent) ? [agent] : folders.map((folder) => join(folder, agent));
  return places.some((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function without(secrets: ReadonlyMap<string, string>, words: string): string {
  let cleaned = words;
  for (const value of secrets.values()) if (value !== "") cleaned = cleaned.replaceAll(value, "…");
  return cleaned;
}
