import type { ClusterConfig, NodeId } from "@quorate/contracts";
import { QuorateError } from "@quorate/contracts";
import type { Logger } from "@quorate/runtime";
import { chooseBinding, sameBinding } from "./bind-rule.ts";
import { type HostAddress, hostAddresses } from "./interfaces.ts";
import { RingSocket } from "./ring-socket.ts";

export interface RingProblem {
  readonly ring: number;
  readonly code: "ADDRESS_MISSING" | "PORT_TAKEN";
  readonly message: string;
  readonly hint: string;
}

export interface RingSetOptions {
  readonly self: NodeId;
  readonly logger: Logger;
  onDatagram(datagram: Buffer, ring: number, receivedAtUs: number): void;
  onProblems(problems: readonly RingProblem[]): void;
  /** For tests; the host's own otherwise. */
  readonly addresses?: () => HostAddress[];
}

const RETRY_MS = 1000;

/**
 * Keeps one set of sockets per configured ring: every second, and on every change, what is open is compared
 * with what should be. An address that vanishes degrades the ring and never ends the process.
 */
export class RingSet {
  readonly #options: RingSetOptions;
  readonly #open = new Map<number, RingSocket>();
  readonly #problems = new Map<number, RingProblem>();
  #config: ClusterConfig;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  #closed = false;
  #told = "";
  #sendErrors = 0;
  #reopened = 0;

  constructor(config: ClusterConfig, options: RingSetOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** Resolves after the first attempt, whether or not it succeeded. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.reconcile(), RETRY_MS);
    await this.reconcile();
  }

  configure(config: ClusterConfig): void {
    this.#config = config;
    void this.reconcile();
  }

  get rings(): number[] {
    return [...this.#open.keys()].sort((left, right) => left - right);
  }

  get problems(): RingProblem[] {
    return [...this.#problems.values()].sort((left, right) => left.ring - right.ring);
  }

  get counters(): Record<string, number> {
    return { send_errors: this.#sendErrors, sockets_opened: this.#reopened };
  }

  send(ring: number, datagram: Buffer): void {
    const addresses: string[] = [];
    for (const node of this.#config.nodes) {
      const address = node.addresses[ring];
      if (node.id !== this.#options.self && address !== undefined) addresses.push(address);
    }
    this.#open.get(ring)?.send(datagram, addresses);
  }

  /** One comparison at a time. */
  reconcile(): Promise<void> {
    this.#working = this.#working.then(() => this.#reconcile());
    return this.#working;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const socket of this.#open.values()) socket.close();
    this.#open.clear();
  }

  async #reconcile(): Promise<void> {
    if (this.#closed) return;
    const config = this.#config;
    const hosts = (this.#options.addresses ?? hostAddresses)();
    const wanted = new Set(config.rings.map((ring) => ring.ring));
    for (const ring of [...this.#open.keys(), ...this.#problems.keys()]) {
      if (!wanted.has(ring)) this.#shut(ring);
    }
    for (const ring of config.rings) {
      const own = config.nodes.find((node) => node.id === this.#options.self)?.addresses[ring.ring];
      if (own === undefined) this.#shut(ring.ring);
      else await this.#reconcileRing(config, ring.ring, hosts);
    }
    this.#tell();
  }

  #shut(ring: number): void {
    this.#open.get(ring)?.close();
    this.#open.delete(ring);
    this.#problems.delete(ring);
  }

  async #reconcileRing(config: ClusterConfig, ring: number, hosts: readonly HostAddress[]): Promise<void> {
    const settings = config.rings.find((candidate) => candidate.ring === ring);
    if (settings === undefined) return;
    const choice = chooseBinding(config, this.#options.self, settings, hosts);
    const current = this.#open.get(ring);
    if (!choice.ok) {
      this.#shut(ring);
      this.#problems.set(ring, { ring, code: "ADDRESS_MISSING", message: choice.message, hint: choice.hint });
      return;
    }
    if (current !== undefined && sameBinding(current.binding, choice.binding)) return;
    this.#shut(ring);
    try {
      const socket = await RingSocket.open(choice.binding, {
        onDatagram: (datagram, receivedAtUs) => this.#options.onDatagram(datagram, ring, receivedAtUs),
        onBroken: (error) => this.#broken(ring, error),
        onSendError: () => {
          this.#sendErrors += 1;
        },
      });
      if (this.#closed) return socket.close();
      this.#open.set(ring, socket);
      this.#reopened += 1;
      this.#options.logger.info({ ...choice.binding }, `ring ${ring} is up`);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      const code = error.code === "PORT_TAKEN" ? "PORT_TAKEN" : "ADDRESS_MISSING";
      this.#problems.set(ring, { ring, code, message: error.message, hint: error.hint });
    }
  }

  #broken(ring: number, error: Error): void {
    this.#open.delete(ring);
    this.#options.logger.warn({ ring, error: error.message }, "a ring's socket broke; it is opened anew");
    void this.reconcile();
  }

  /** Says what is wrong once, and again only when it changes. */
  #tell(): void {
    const problems = this.problems;
    const told = JSON.stringify([problems, this.rings]);
    if (told === this.#told) return;
    this.#told = told;
    for (const { ring, code, message, hint } of problems) {
      this.#options.logger.error({ ring, code, hint }, message);
    }
    this.#options.onProblems(problems);
  }
}
