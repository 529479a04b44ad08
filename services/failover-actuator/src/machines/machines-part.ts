import {
  type ClusterConfig,
  type GrantMessage,
  QuorateError,
  type QuorumMessage,
  type ReportMessage,
} from "@quorate/contracts";
import type { BusSubscription } from "@quorate/runtime";
import { MachineRoom, type MachineRoomOptions } from "./machine-room.ts";

/** How long after a failure the room is tried again: a full disk, say. */
const RETRY_MS = 2000;

/** A node that neither answers nor is fenced by then is waited for by its machines alone. */
const RELOCATE_TOKENS = 2;

/** Machines while the configuration asks for them; opens, follows and closes the room with it. */
export class MachinesPart {
  readonly #options: MachineRoomOptions;
  #config: ClusterConfig;
  #room: MachineRoom | null = null;
  /** Given up, and not out of the way yet. */
  #leaving: MachineRoom | null = null;
  /** The newest of each: a room that opens after a restart has no time to wait for the next. */
  #grant: GrantMessage | null = null;
  #quorum: QuorumMessage | null = null;
  #subscriptions: BusSubscription[] = [];
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  /** One after the other. */
  #last: Promise<void> = Promise.resolve();

  constructor(options: MachineRoomOptions, config: ClusterConfig) {
    this.#options = options;
    this.#config = config;
  }

  get room(): MachineRoom | null {
    return this.#room;
  }

  /** Resolves when the room is as the newest configuration says, or could not be opened and is tried again later. */
  configure(config: ClusterConfig): Promise<void> {
    this.#config = config;
    this.#last = this.#last.then(() => this.#follow());
    return this.#last;
  }

  /** What the actuator says of this host; a host that has not looked at its machines yet is not clean. */
  withMachines(report: ReportMessage): ReportMessage {
    if (this.#room !== null) return this.#room.machines.withMachines(report);
    return this.#config.machines === undefined ? report : { ...report, cleanUnderTerm: null };
  }

  /**
   * Resolves when this mastership has ordered the machines of failed nodes to start elsewhere; at once without machines.
   * The managed service waits for it, so it takes two tokens at most: the relocation itself goes on as long as it must.
   */
  relocated(term: number): Promise<void> {
    const limitMs = RELOCATE_TOKENS * this.#config.tokenMs;
    return this.#room?.machines.relocated(term, limitMs) ?? Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#unhear();
    await this.#last;
    await this.#room?.close();
  }

  async #follow(): Promise<void> {
    clearTimeout(this.#retry);
    const wanted = this.#config.machines !== undefined && !this.#closed;
    const room = this.#room;
    try {
      if (!wanted && room !== null && !this.#closed) {
        this.#leaving = room;
        this.#room = null;
        this.#unhear();
      }
      await this.#leaving?.giveUp();
      this.#leaving = null;
      if (wanted && this.#room !== null) this.#room.configure(this.#config);
      else if (wanted) await this.#open();
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      this.#options.logger.error({ code: error.code, hint: error.hint }, error.message);
      this.#retry = setTimeout(() => void this.configure(this.#config), RETRY_MS);
    }
    this.#options.reportChanged();
  }

  async #open(): Promise<void> {
    this.#hear();
    const room = await MachineRoom.open(this.#options, this.#config);
    this.#room = room;
    if (this.#grant !== null) room.machines.onGrant(this.#grant);
    if (this.#quorum !== null) room.machines.onQuorum(this.#quorum);
  }

  #hear(): void {
    if (this.#subscriptions.length > 0) return;
    const { bus } = this.#options;
    this.#subscriptions = [
      bus.subscribeLocal("grant", (grant) => {
        this.#grant = grant;
        this.#room?.machines.onGrant(grant);
      }),
      bus.subscribeLocal("quorum", (quorum) => {
        this.#quorum = quorum;
        this.#room?.machines.onQuorum(quorum);
      }),
    ];
  }

  #unhear(): void {
    for (const each of this.#subscriptions.splice(0)) each.unsubscribe();
    this.#grant = null;
    this.#quorum = null;
  }
}
