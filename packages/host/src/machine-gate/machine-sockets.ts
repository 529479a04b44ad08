import { QuorateError } from "@quorate/contracts";
import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";
import type { HostContext } from "../tools/host-context.ts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import { runToolOrThrow } from "../tools/run-tool.ts";

/** The connections of this host. */
export interface MachineSockets {
  /**
   * Destroys every TCP connection that the user's processes have, and every orphan (its process is gone, its bytes may
   * not be) to one of the storages; done when they are seen to be gone. Throws TOOL_FAILED.
   */
  destroy(user: number, storage: readonly StorageEndpoint[]): Promise<void>;
}

const TOOL_TIMEOUT_MS = 1_000;
/** A connection can change its state between being seen and being destroyed; not five times. */
const MOST_ROUNDS = 5;

/**
 * By the kernel's own interface for this (sock_diag), which needs CONFIG_INET_DIAG_DESTROY. The gate alone would do for
 * orphans (refused at their next attempt, which may be two minutes away); not for a process that lives on, whose bytes
 * would pass as soon as its gate is open again.
 */
export class RealMachineSockets implements MachineSockets {
  readonly #context: HostContext;

  constructor(context: HostContext) {
    this.#context = context;
  }

  async destroy(user: number, storage: readonly StorageEndpoint[]): Promise<void> {
    const endpoints = new Set(storage.map(({ address, port }) => endpointKey(address, port)));
    let seen: ReadonlySet<string> | undefined;
    for (let round = 0; round <= MOST_ROUNDS; round += 1) {
      const found = (await this.#list()).filter((connection) => isTheirs(connection, user, endpoints));
      seen ??= new Set(found.map(({ cookie }) => cookie));
      const first = seen;
      const left = found.filter(
        (connection) =>
          mayHoldBytes(connection) && (first.has(connection.cookie) || endpoints.has(connection.peer)),
      );
      if (left.length === 0) return;
      if (round === MOST_ROUNDS) throw notGone(left);
      await this.#kill(left);
    }
  }

  async #list(): Promise<readonly Connection[]> {
    const text = await this.#ss(["-Htne", "state", "connected"]);
    return text
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map(parseConnection);
  }

  async #kill(connections: readonly Connection[]): Promise<void> {
    const filter = connections.flatMap(({ localWords, peerWords }, index) => [
      ...(index === 0 ? [] : ["or"]),
      ...["(", "src", localWords, "and", "dst", peerWords, ")"],
    ]);
    await this.#ss(["-HtnK", "state", "connected", ...filter]);
  }

  #ss(words: readonly string[]): Promise<string> {
    return runToolOrThrow(this.#context, ["ss", ...words], {
      timeoutMs: TOOL_TIMEOUT_MS,
      outputLimitBytes: 16_777_216,
    });
  }
}

interface Connection {
  readonly state: string;
  readonly localWords: string;
  readonly peerWords: string;
  /** The peer as `endpointKey` writes it. */
  readonly peer: string;
  readonly user: number;
  /** 0: no process has it any more. */
  readonly inode: number;
  /** The kernel's number for this very socket. */
  readonly cookie: string;
}

/**
 * A line of `ss -tne`: state, queues, both ends, and `uid:` (not for root's) and `ino:` with `sk:`. Kernels before 6.16
 * give orphans no user: those are known by where they lead.
 */
function parseConnection(line: string): Connection {
  const words = line.trim().split(/\s+/);
  const [state = "", , , local = "", peer = ""] = words;
  const valueOf = (name: string): string | undefined =>
    words.find((word) => word.startsWith(`${name}:`))?.slice(name.length + 1);
  const inode = Number(valueOf("ino"));
  const cookie = valueOf("sk");
  // A device that a socket is bound to stands between address and port: no part of the address.
  const [localWords, peerWords] = [local, peer].map((end) => end.replace(/%[^:]+(?=:\d+$)/, ""));
  const [, address, port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(peerWords ?? "") ?? [];
  const known = localWords !== undefined && peerWords !== undefined && address !== undefined;
  if (!known || cookie === undefined || !Number.isInteger(inode)) {
    throw new QuorateError(
      "TOOL_FAILED",
      `ss says of a connection: ${line.trim().slice(0, 300)}`,
      "This version of iproute2 is not understood; run: ss -Htne state connected",
    );
  }
  const peerKey = endpointKey(address, Number(port));
  return { state, localWords, peerWords, peer: peerKey, user: Number(valueOf("uid") ?? 0), inode, cookie };
}

/** An IPv4 peer of an IPv6 socket is an IPv4 peer. */
function endpointKey(address: string, port: number): string {
  return `${normaliseAddress(address.replace(/^::ffff:(?=\d+\.)/i, ""))} ${port}`;
}

function isTheirs({ user, inode, peer }: Connection, wanted: number, storage: ReadonlySet<string>): boolean {
  return user === wanted || (inode === 0 && storage.has(peer));
}

/** In the other states all bytes are acknowledged, or none can have been written yet. */
function mayHoldBytes({ state }: Connection): boolean {
  return !["SYN-SENT", "SYN-RECV", "FIN-WAIT-2", "TIME-WAIT"].includes(state);
}

function notGone(left: readonly Connection[]): QuorateError {
  const shown = left.map(({ state, localWords, peerWords }) => `${state} ${localWords} to ${peerWords}`);
  return new QuorateError(
    "TOOL_FAILED",
    `The kernel keeps connections that were to be destroyed: ${shown.slice(0, 5).join("; ")}.`,
    "Needs CONFIG_INET_DIAG_DESTROY, and Linux 6.11 (or its fix for orphans in tcp_abort) where a process was killed.",
  );
}
