import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { QuorateError } from "@quorate/contracts";

const run = promisify(execFile);

/**
 * Resets the nats-server's route connections to and from one peer, so that it dials anew: a dead route heals
 * within 1 s instead of about 7. To be called when membership hears a peer again that was gone. Answers how
 * many sockets were reset (0 is fine). Needs root, and a kernel with INET_DIAG_DESTROY.
 */
export async function breakRoute(address: string, routePort: number): Promise<number> {
  const peer = address.includes(":") ? `[${address}]` : address;
  const filter = `dst ${peer} and ( dport = :${routePort} or sport = :${routePort} )`;
  try {
    const { stdout } = await run("ss", ["-HtnK", "state", "connected", filter], { timeout: 2000 });
    return stdout.split("\n").filter((line) => line.trim() !== "").length;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new QuorateError(
      missing ? "TOOL_MISSING" : "TOOL_FAILED",
      `Cannot reset the bus route to ${address}: ${(error as Error).message}.`,
      missing ? "Install iproute2 (it brings ss)." : "The route heals by itself, some seconds later.",
      { cause: error },
    );
  }
}
