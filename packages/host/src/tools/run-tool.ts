import { spawn } from "node:child_process";
import { QuorateError } from "@quorate/contracts";
import type { HostContext } from "./host-context.ts";

/** The Debian package that brings each tool we start. */
const PACKAGE_OF_TOOL: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  nsenter: "util-linux",
  perl: "perl-base",
  setpriv: "util-linux",
  sh: "dash",
  ss: "iproute2",
  stdbuf: "coreutils",
  systemctl: "systemd",
  virsh: "libvirt-clients",
  wdctl: "util-linux",
};

const DEFAULT_TIMEOUT_MS = 5_000;
const DEFAULT_OUTPUT_LIMIT_BYTES = 1_048_576;

export interface RunToolOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  /** More than this on either stream ends the tool: TOOL_FAILED. */
  readonly outputLimitBytes?: number;
  /** Kills the tool with everything that it has started, when its time is up or `signal` says so. */
  readonly ownGroup?: boolean;
  /** Ends the tool: TOOL_FAILED. */
  readonly signal?: AbortSignal;
}

export interface ToolResult {
  readonly exitCode: number;
  readonly output: string;
  readonly errorOutput: string;
}

/** Daemons are often started without the folders that hold the administrator's tools. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  const path = process.env["PATH"] ?? "";
  return { ...process.env, PATH: `${path}:/usr/sbin:/usr/bin:/sbin:/bin`, LC_ALL: "C" };
}

/** The command line of a tool under the context's prefix. */
export function toolCommand(context: HostContext, command: readonly string[]): [string, string[]] {
  const [file, ...rest] = [...(context.commandPrefix ?? []), ...command];
  if (file === undefined) throw new Error("an empty command line");
  return [file, rest];
}

export function toolMissing(tool: string, cause?: unknown): QuorateError {
  const debianPackage = PACKAGE_OF_TOOL[tool];
  const hint =
    debianPackage === undefined
      ? `Install ${tool}, or correct the PATH.`
      : `Install it: apt-get install ${debianPackage}`;
  return new QuorateError("TOOL_MISSING", `The tool "${tool}" is not installed.`, hint, { cause });
}

/** Gives the tool's own words a code and a remedy. */
export function toolFailed(tool: string, words: string): QuorateError {
  const text = words.trim().slice(0, 2_000);
  if (/Operation not permitted|must be root|Permission denied/.test(text)) {
    return new QuorateError(
      "NOT_ROOT",
      `${tool}: ${text}`,
      "Run this as root (CAP_NET_ADMIN and CAP_NET_RAW).",
    );
  }
  const device = /Cannot find device "?([^"\s]+)"?|Device "([^"]+)" does not exist/.exec(text);
  if (device !== null) return interfaceMissing(device[1] ?? device[2] ?? "?");
  return new QuorateError(
    "TOOL_FAILED",
    `${tool} failed: ${text === "" ? "without a word" : text}`,
    `Read the words of ${tool} above; run it by hand to see more.`,
  );
}

export function interfaceMissing(device: string): QuorateError {
  return new QuorateError(
    "INTERFACE_MISSING",
    `The network interface "${device}" does not exist.`,
    `Create it, or name an existing one (see: ip link) as CloudIpDev in the section cluster_ip.`,
  );
}

/**
 * Runs a tool to its end and collects what it says. Does not judge the exit code.
 * Throws TOOL_MISSING, and TOOL_FAILED when it doesn't end in time or says too much (it is killed then).
 */
export function runTool(
  context: HostContext,
  command: readonly string[],
  options: RunToolOptions = {},
): Promise<ToolResult> {
  const tool = command[0] ?? "?";
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const limit = options.outputLimitBytes ?? DEFAULT_OUTPUT_LIMIT_BYTES;
  const [file, commandArguments] = toolCommand(context, command);
  return new Promise((resolve, reject) => {
    const detached = options.ownGroup === true;
    const child = spawn(file, commandArguments, { stdio: "pipe", env: toolEnvironment(), detached });
    let output = "";
    let errorOutput = "";
    let fault: QuorateError | undefined;
    const end = (error: QuorateError): void => {
      fault ??= error;
      if (detached) killGroup(child.pid);
      else child.kill("SIGKILL");
    };
    const abort = (): void => end(toolFailed(tool, "was broken off"));
    if (options.signal?.aborted === true) abort();
    options.signal?.addEventListener("abort", abort);
    const timer = setTimeout(
      () => end(toolFailed(tool, `did not end within ${timeoutMs} ms and was killed`)),
      timeoutMs,
    );
    const tooMuch = (): void => end(toolFailed(tool, `said more than ${limit} bytes and was killed`));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > limit) tooMuch();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errorOutput += text;
      if (errorOutput.length > limit) tooMuch();
    });
    // A tool that ends without reading its input is judged by its exit code, not by the broken pipe.
    child.stdin.on("error", () => {});
    child.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", abort);
      reject(error.code === "ENOENT" ? toolMissing(file, error) : toolFailed(tool, error.message));
    });
    child.on("close", (exitCode) => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", abort);
      if (fault !== undefined) reject(fault);
      else if (isMissingUnderPrefix(context, tool, exitCode, errorOutput)) reject(toolMissing(tool));
      else resolve({ exitCode: exitCode ?? -1, output, errorOutput });
    });
    child.stdin.end(options.input ?? "");
  });
}

/** What a tool started holds its pipes open: the tool alone killed, nothing would ever end here. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** As `runTool`, and throws TOOL_FAILED (or what its words mean) on any exit code but 0. */
export async function runToolOrThrow(
  context: HostContext,
  command: readonly string[],
  options: RunToolOptions = {},
): Promise<string> {
  const result = await runTool(context, command, options);
  if (result.exitCode !== 0) throw toolFailed(command[0] ?? "?", result.errorOutput || result.output);
  return result.output;
}

/** nsenter, ip and sh report a missing tool by exit code 127 or their own words, not by ENOENT. */
function isMissingUnderPrefix(
  context: HostContext,
  tool: string,
  exitCode: number | null,
  errorOutput: string,
): boolean {
  if ((context.commandPrefix ?? []).length === 0) return false;
  return exitCode === 127 || (exitCode !== 0 && errorOutput.includes(`failed to execute ${tool}`));
}
