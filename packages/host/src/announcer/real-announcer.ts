import type { ClusterIp } from "@quorate/contracts";
import { checkVips } from "../gate/nft-ruleset.ts";
import type { HostContext } from "../tools/host-context.ts";
import { normaliseAddress } from "../tools/normalise-address.ts";
import type { Announcer, ForeignClaim, ProbeResult } from "./announcer.ts";
import { LinkHelper } from "./link-helper.ts";

const RETRY_MS = 1_000;

/** ARP and NDP on the real link, through one kept-open helper (about 6 MB, asleep while nobody claims). */
export function createRealAnnouncer(context: HostContext): Announcer {
  return new RealAnnouncer(context);
}

class RealAnnouncer implements Announcer {
  readonly #helper: LinkHelper;
  readonly #listeners = new Set<(claim: ForeignClaim) => void>();
  /** Those of probes under way; they hear claims whether the address is watched or not. */
  readonly #probes = new Set<{ readonly ip: ClusterIp; heard(claim: ForeignClaim): void }>();
  #watched: readonly ClusterIp[] = [];
  #retryTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(context: HostContext) {
    this.#helper = new LinkHelper(context, {
      claim: (device, address, mac) => this.#heard(device, { address: this.#spelling(address), mac }),
      lost: () => this.#watchAgainLater(),
      ended: () => this.#watchAgainLater(),
    });
  }

  async announce(ip: ClusterIp): Promise<void> {
    checkVips([ip]);
    await this.#helper.command("announce", [ip.device, ip.address]);
  }

  async probe(ip: ClusterIp, waitUs: number): Promise<ProbeResult> {
    checkVips([ip]);
    let hear: (claim: ForeignClaim) => void = () => {};
    const answer = new Promise<ForeignClaim>((resolve) => {
      hear = resolve;
    });
    const probe = { ip, heard: hear };
    this.#probes.add(probe);
    let timer: NodeJS.Timeout | undefined;
    try {
      // The helper takes its commands in order: asking need not wait for the answer to watching.
      const watched = this.#isWatched(ip) ? undefined : this.#sendWatch();
      await Promise.all([watched, this.#helper.command("ask", [ip.device, ip.address])]);
      const silence = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), Math.ceil(waitUs / 1_000));
      });
      const claim = await Promise.race([answer, silence]);
      return claim === undefined
        ? { foreign: false }
        : { foreign: true, address: ip.address, mac: claim.mac };
    } finally {
      clearTimeout(timer);
      this.#probes.delete(probe);
      if (!this.#isWatched(ip) && this.#helper.running)
        this.#sendWatch().catch(() => this.#watchAgainLater());
    }
  }

  async watch(ips: readonly ClusterIp[]): Promise<void> {
    checkVips(ips);
    this.#watched = [...ips];
    await this.#sendWatch();
  }

  listen(listener: (claim: ForeignClaim) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#watched = [];
    clearTimeout(this.#retryTimer);
    return this.#helper.close();
  }

  #isWatched(ip: ClusterIp): boolean {
    return this.#watched.some((watched) => pairOf(watched) === pairOf(ip));
  }

  async #sendWatch(): Promise<void> {
    const pairs = new Set([...this.#watched, ...[...this.#probes].map((probe) => probe.ip)].map(pairOf));
    await this.#helper.command("watch", [...pairs].sort());
  }

  /** A device that is missing, or a helper that ended, is tried again until it works. */
  #watchAgainLater(): void {
    if (this.#closed || this.#watched.length === 0 || this.#retryTimer !== undefined) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      if (!this.#closed) this.#sendWatch().catch(() => this.#watchAgainLater());
    }, RETRY_MS);
  }

  #heard(device: string, claim: ForeignClaim): void {
    for (const probe of [...this.#probes]) {
      if (probe.ip.device === device && sameAddress(probe.ip.address, claim.address)) probe.heard(claim);
    }
    if (!this.#watched.some((ip) => ip.device === device && sameAddress(ip.address, claim.address))) return;
    for (const listener of [...this.#listeners]) listener(claim);
  }

  #spelling(address: string): string {
    return this.#watched.find((ip) => sameAddress(ip.address, address))?.address ?? address;
  }
}

function pairOf(ip: ClusterIp): string {
  return `${ip.device},${normaliseAddress(ip.address)}`;
}

function sameAddress(first: string, second: string): boolean {
  return normaliseAddress(first) === normaliseAddress(second);
}
