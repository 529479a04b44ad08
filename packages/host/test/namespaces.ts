import { execFileSync } from "node:child_process";
import { type HostContext, monotonicNowUs } from "../src/tools/host-context.ts";

let counter = 0;

/** Two hosts on one cable: `host` is where the driver under test acts, `peer` is the rest of the world. */
export class Cable {
  readonly host: string;
  readonly peer: string;
  readonly context: HostContext;
  /** The device in both namespaces. */
  readonly device = "net0";

  constructor() {
    counter += 1;
    const base = `qh${process.pid}-${counter}`;
    this.host = `${base}a`;
    this.peer = `${base}b`;
    for (const name of [this.host, this.peer]) {
      run("ip", "netns", "add", name);
      run("ip", "-n", name, "link", "set", "lo", "up");
    }
    const [first, second] = [`qha${process.pid % 10_000}`, `qhb${process.pid % 10_000}`];
    run(
      "ip",
      "link",
      "add",
      first,
      "netns",
      this.host,
      "type",
      "veth",
      "peer",
      "name",
      second,
      "netns",
      this.peer,
    );
    run("ip", "-n", this.host, "link", "set", first, "name", this.device, "up");
    run("ip", "-n", this.peer, "link", "set", second, "name", this.device, "up");
    // Until the kernel has noticed the carrier (up to a second), frames sent are lost.
    for (const name of [this.host, this.peer]) {
      while (!run("ip", "-o", "-n", name, "link", "show", this.device).includes("state UP")) waitSync(5);
    }
    this.context = { nowUs: monotonicNowUs, commandPrefix: ["nsenter", `--net=/run/netns/${this.host}`] };
  }

  inHost(...command: string[]): string {
    return run("nsenter", `--net=/run/netns/${this.host}`, ...command);
  }

  inPeer(...command: string[]): string {
    return run("nsenter", `--net=/run/netns/${this.peer}`, ...command);
  }

  /** Whether the command ends with 0 in the peer's namespace. */
  peerSucceeds(...command: string[]): boolean {
    try {
      this.inPeer(...command);
      return true;
    } catch {
      return false;
    }
  }

  /** Whether one of a few pings is answered. */
  peerGetsAnswer(address: string): boolean {
    const ping = (): boolean => this.peerSucceeds("ping", "-n", "-c", "1", "-W", "0.25", address);
    return ping() || ping() || ping();
  }

  remove(): void {
    for (const name of [this.host, this.peer]) run("ip", "netns", "del", name);
  }
}

export function run(file: string, ...rest: string[]): string {
  return execFileSync(file, rest, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

export function pauseMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function waitSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
