/**
 * Asks one host's guests on its own switch port, past the bridge, every few ms, and sees what comes out of that port:
 * the guests' frames, and what their host sends to the storage. So it is known when the last of each left a host that
 * nobody else hears any more.
 */
import { join } from "node:path";
import { inNamespaces } from "../command.ts";
import type { Lab } from "../lab.ts";
import { LabProcess, realTimePrefix } from "../lab-process.ts";
import { bridgeOf, readLinks } from "../switch.ts";
import { guestsOf, STORAGE_ADDRESS } from "./guests.ts";

const SCRIPT = join(import.meta.dirname, "../../assets/probe-ports.pl");
const INTERVAL_MS = 5;
/** No machine has it. */
const NO_V6 = "fd51:223::fd";
const BROADCAST = "ff:ff:ff:ff:ff:ff";
/** What all guests' hardware addresses begin with. */
const GUEST_FRAMES = "ether[6:4] = 0x52540051 and ether[10] = 0x55";

/** When the newest of each left the host, wall clock; 0: none was seen. */
export type LastSeen = { networkMs: number; storageMs: number };

export class PortWatch {
  readonly #processes: LabProcess[] = [];
  readonly #last: LastSeen = { networkMs: 0, storageMs: 0 };

  private constructor() {}

  static async start(lab: Lab, host: number): Promise<PortWatch> {
    const watch = new PortWatch();
    try {
      await watch.#begin(lab, host);
    } catch (error) {
      await watch.stop();
      throw error;
    }
    return watch;
  }

  get last(): Readonly<LastSeen> {
    return this.#last;
  }

  get failure(): string | null {
    return this.#processes.find(({ failure }) => failure !== null)?.failure ?? null;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop()));
  }

  async #begin(lab: Lab, host: number): Promise<void> {
    const record = lab.record();
    const port = record.hosts.find(({ id }) => id === host)?.ports[0];
    const links = await readLinks(lab.switchPid());
    const index = links.find(({ ifname }) => ifname === port?.name)?.ifindex ?? 0;
    const ownMac = links.find(({ ifname }) => ifname === bridgeOf(0))?.address ?? "";
    await this.#capture(lab, port?.name ?? "", GUEST_FRAMES, (atMs) => {
      this.#last.networkMs = Math.max(this.#last.networkMs, atMs);
    });
    const payload = "(ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0";
    const toStorage = `dst host ${STORAGE_ADDRESS} and tcp and ${payload}`;
    await this.#capture(lab, port?.name ?? "", toStorage, (atMs) => {
      this.#last.storageMs = Math.max(this.#last.storageMs, atMs);
    });
    const addresses = guestsOf(record.guests).map(({ address }) => address);
    const argv = [...(await realTimePrefix()), "perl", SCRIPT, String(INTERVAL_MS), ownMac];
    argv.push(record.observerAddress, NO_V6, ...addresses);
    const probe = await LabProcess.start(lab, inNamespaces(lab.switchPid(), "network", argv), {
      onLine: () => {},
      isReady: ({ line }) => line !== "",
    });
    this.#processes.push(probe);
    probe.write(`add ${index} ${BROADCAST}\n`);
  }

  async #capture(lab: Lab, port: string, filter: string, seen: (atMs: number) => void): Promise<void> {
    const argv = ["tcpdump", "-i", port, "-Q", "in", "-n", "-q", "-tt", "-l", "-s", "100", "-Z", "root"];
    argv.push("-B", "4096", "--immediate-mode", filter);
    const capture = await LabProcess.start(lab, inNamespaces(lab.switchPid(), "network", argv), {
      onLine: (line) => {
        const seconds = Number(line.split(" ")[0]);
        if (Number.isFinite(seconds)) seen(seconds * 1000);
      },
      isReady: ({ stderr }) => stderr.includes("listening on"),
    });
    this.#processes.push(capture);
  }
}
