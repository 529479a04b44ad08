/**
 * Looks at the storage host's cable: who sends bytes to which disk, and when, as the kernel captured it on the way in.
 * No part of the product has a say in that, and no client: what is seen here has reached the storage.
 */
import { inNamespaces } from "./command.ts";
import { guestsOf, STORAGE_ADDRESS } from "./guest/guests.ts";
import type { Lab } from "./lab.ts";
import { LabProcess } from "./lab-process.ts";
import { STORAGE_PORT } from "./switch.ts";

/** One segment with bytes in it: a question to the disk or bytes to be written, no mere acknowledgement. */
export type StoragePayload = {
  atMs: number;
  /** The lab host that it came from; null: from elsewhere. */
  host: number | null;
  address: string;
  sourcePort: number;
  guest: string;
  bytes: number;
};

/** What came over one connection within a window. */
export type StorageTraffic = {
  host: number | null;
  address: string;
  sourcePort: number;
  guest: string;
  bytes: number;
  segments: number;
  firstMs: number;
  lastMs: number;
  /** The same of segments that carried data for the disk; null without any. */
  data: { firstMs: number; lastMs: number } | null;
};

export type StorageObservation = {
  /** In the order in which they were first seen. */
  report: () => StorageTraffic[];
  close: () => void;
};

/** Guests write whole sectors. Nothing else in NBD is as long: a request without data has 28 bytes. */
const LEAST_DATA_BYTES = 512;

function isData({ bytes }: StoragePayload): boolean {
  return bytes >= LEAST_DATA_BYTES;
}

/** `1700000000.123456 IP 172.31.223.46.51034 > 172.31.223.250.10809: tcp 28` */
const LINE = /^(\d+\.\d+) IP (\d+\.\d+\.\d+\.\d+)\.(\d+) > [\d.]+\.(\d+): tcp (\d+)/;

export class StorageWatch {
  readonly #hosts: ReadonlyMap<string, number>;
  readonly #guests: ReadonlyMap<number, string>;
  readonly #listeners = new Set<(payload: StoragePayload) => void>();
  #process: LabProcess | null = null;

  private constructor(lab: Lab) {
    const record = lab.record();
    this.#hosts = new Map(
      record.hosts.flatMap((host) => host.ports.map((port) => [port.address, host.id] as const)),
    );
    this.#guests = new Map(guestsOf(record.guests).map(({ diskPort, name }) => [diskPort, name]));
  }

  /** Resolves when the capture runs. */
  static async start(lab: Lab): Promise<StorageWatch> {
    const watch = new StorageWatch(lab);
    const payload = "(ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0";
    // Out of the switch's end of the cable is into the storage host.
    const argv = ["tcpdump", "-i", STORAGE_PORT, "-Q", "out", "-n", "-q", "-tt", "-l", "-s", "100"];
    argv.push("-B", "8192", "-Z", "root", "--immediate-mode");
    argv.push(`dst host ${STORAGE_ADDRESS} and tcp and ${payload}`);
    watch.#process = await LabProcess.start(lab, inNamespaces(lab.switchPid(), "network", argv), {
      onLine: (line) => watch.#take(line),
      isReady: ({ stderr }) => stderr.includes("listening on"),
    });
    return watch;
  }

  /** Opens a window of time that begins now (or at `fromMs`, wall clock, as the capture's timestamps). */
  observe(fromMs = Date.now()): StorageObservation {
    const connections = new Map<string, StorageTraffic>();
    const close = this.onPayload((payload) => {
      if (payload.atMs < fromMs) return;
      const { host, address, sourcePort, guest, bytes, atMs } = payload;
      const key = `${address}:${sourcePort} ${guest}`;
      const known = connections.get(key);
      if (known === undefined) {
        const traffic = { host, address, sourcePort, guest, bytes, segments: 1, firstMs: atMs, lastMs: atMs };
        connections.set(key, { ...traffic, data: isData(payload) ? { firstMs: atMs, lastMs: atMs } : null });
        return;
      }
      if (isData(payload)) known.data = { firstMs: known.data?.firstMs ?? atMs, lastMs: atMs };
      known.bytes += bytes;
      known.segments += 1;
      known.lastMs = atMs;
    });
    return { report: () => [...connections.values()].map((traffic) => ({ ...traffic })), close };
  }

  /** Calls `listener` for every segment. Returns the way to end it. */
  onPayload(listener: (payload: StoragePayload) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Why the capture ended by itself; null while all is well. What it did not see after a failure means nothing. */
  get failure(): string | null {
    return this.#process?.failure ?? null;
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  #take(line: string): void {
    const [, seconds, address = "", sourcePort, port, bytes] = LINE.exec(line) ?? [];
    if (seconds === undefined) return;
    const payload: StoragePayload = {
      atMs: Number(seconds) * 1000,
      host: this.#hosts.get(address) ?? null,
      address,
      sourcePort: Number(sourcePort),
      guest: this.#guests.get(Number(port)) ?? "",
      bytes: Number(bytes),
    };
    for (const listener of this.#listeners) listener(payload);
  }
}
