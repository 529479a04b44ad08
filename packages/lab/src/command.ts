import { execFile, spawnSync } from "node:child_process";
import { QuorateError } from "@quorate/contracts";

export type CommandResult = { code: number; stdout: string; stderr: string };

export type CommandOptions = {
  input?: string;
  timeoutMs?: number;
  env?: NodeJS.ProcessEnv;
};

/** Runs a program to its end. Resolves whatever its exit code; TOOL_MISSING when it cannot be started. */
export function tryCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...rest] = argv;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file ?? "",
      rest,
      {
        timeout: options.timeoutMs ?? 30_000,
        killSignal: "SIGKILL",
        maxBuffer: 16 * 1024 * 1024,
        env: options.env ?? process.env,
      },
      (error, stdout, stderr) => {
        if (error !== null && error.code === "ENOENT") {
          reject(new QuorateError("TOOL_MISSING", `${file} is not installed`, "Run: npm run setup"));
          return;
        }
        // A number is the exit code; anything else (killed, buffer full) is a failure without one.
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
        resolve({ code, stdout, stderr });
      },
    );
    // A program that ends without reading its input is no failure of ours.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input ?? "");
  });
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
