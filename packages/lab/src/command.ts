import { spawn, spawnSync } from "node:child_process";
import { QuorateError } from "@quorate/contracts";

export type CommandResult = { code: number; stdout: string; stderr: string };

export type CommandOptions = {
  input?: string;
  timeoutMs?: number;
  env?: NodeJS.ProcessEnv;
};

/**
 * Runs a program to its end, or for `timeoutMs` (30 s) at most. Resolves whatever its exit code, 124 when it was
 * ended for taking too long; TOOL_MISSING when it cannot be started.
 */
export function tryCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file = "", ...rest] = argv;
  return new Promise((resolve, reject) => {
    // A group of its own: `nsenter` forks to enter a pid namespace, and its child has to end with it.
    const child = spawn(file, rest, { detached: true, stdio: "pipe", env: options.env ?? process.env });
    const said = { stdout: "", stderr: "" };
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      killGroup(child.pid);
    }, options.timeoutMs ?? 30_000);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said.stderr += text;
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(
        new QuorateError("TOOL_MISSING", `${file} cannot be started: ${error.message}`, "Run: npm run setup"),
      );
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: isLate ? 124 : (code ?? 1), ...said });
    });
    // A program that ends without reading its input is no failure of ours.
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

/** Ends a process that leads its own group, and the group. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It is gone.
  }
}

/** As tryCommand, but a non-zero exit is TOOL_FAILED with what the program said. */
export async function command(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await tryCommand(argv, options);
  if (result.code !== 0) throw failed(argv, result.code, result.stderr);
  return result.stdout;
}

/** Blocks until the program ended: for the few places where two acts must follow each other at once. */
export function commandNow(argv: readonly string[]): void {
  const [file, ...rest] = argv;
  const result = spawnSync(file ?? "", rest, { encoding: "utf8" });
  if (result.status !== 0) throw failed(argv, result.status ?? 1, result.stderr ?? String(result.error));
}

function failed(argv: readonly string[], code: number, stderr: string): QuorateError {
  return new QuorateError(
    "TOOL_FAILED",
    `${argv.join(" ")} ended with ${code}: ${stderr.trim()}`,
    "Look at `quorate-lab status`; `quorate-lab down` clears what is left.",
  );
}

export type NamespaceKind = "network" | "all";

/** The command line that runs `argv` in the namespaces of process `pid`. */
export function inNamespaces(pid: number, kind: NamespaceKind, argv: readonly string[]): string[] {
  // Not `ip netns exec`: it needs names under /run/netns, which outlive their processes.
  const which = kind === "network" ? ["--net"] : ["--mount", "--uts", "--net", "--pid", "--time"];
  return ["nsenter", "--target", String(pid), ...which, "--", ...argv];
}
