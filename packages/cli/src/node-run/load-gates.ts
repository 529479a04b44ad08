import { spawnSync } from "node:child_process";
import { EXIT_CODES, QuorateError } from "@quorate/contracts";
import type { Shown } from "../output.ts";
import { serviceEntry } from "./programs.ts";

/** Has the actuator's program load the gates and end; answers with what it said and its exit code. Throws QuorateError NOT_ROOT. */
export function loadGates(options: { config: string; nodeId: number; stateDir: string }): Shown {
  if (process.getuid?.() !== 0) {
    throw new QuorateError(
      "NOT_ROOT",
      "`quorate node load-gates` sets kernel filters and needs root.",
      "Run it as root.",
    );
  }
  const program = ["--disable-warning=ExperimentalWarning", serviceEntry("failover-actuator"), "load-gates"];
  const { config, nodeId, stateDir } = options;
  const places = ["--node-id", String(nodeId), "--config", config, "--state-dir", stateDir];
  const stdio = ["ignore", "pipe", "inherit"] as const;
  const { status, stdout } = spawnSync(process.execPath, [...program, ...places], {
    stdio: [...stdio],
    encoding: "utf8",
  });
  const exit = Object.values(EXIT_CODES).find((code) => code === status) ?? EXIT_CODES.error;
  return { json: { said: stdout.trim() }, text: stdout, exit };
}
