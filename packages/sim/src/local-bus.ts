import type {
  BallotMessage,
  ConfigMessage,
  GrantMessage,
  HeardMessage,
  PeersMessage,
  QuorumMessage,
  ReportMessage,
  StoredMessage,
} from "@quorate/contracts";
import type { ProcessName } from "./schedule.ts";

/** The local topics and what they carry. */
export type LocalMessages = {
  ballot: BallotMessage;
  heard: HeardMessage;
  peers: PeersMessage;
  grant: GrantMessage;
  quorum: QuorumMessage;
  report: ReportMessage;
  stored: StoredMessage;
  config: ConfigMessage;
};
export type Topic = keyof LocalMessages;

const SUBSCRIBERS: Record<Topic, readonly ProcessName[]> = {
  ballot: ["membership"],
  heard: ["evaluator"],
  peers: ["evaluator", "distributor"],
  grant: ["actuator"],
  quorum: ["distributor"],
  report: ["evaluator"],
  stored: ["evaluator"],
  config: ["membership", "actuator"],
};

export type BusSurroundings = {
  nowUs(): number;
  at(atUs: number, run: () => void): void;
  /** How long one message takes from one process to another. */
  delayUs(): number;
  /** How long a client takes to find a server that is back. */
  reconnectUs(): number;
  deliver<Name extends Topic>(to: ProcessName, topic: Name, message: LocalMessages[Name]): void;
  reconnected(process: ProcessName): void;
  /** Every message, as it leaves. */
  sent(message: object): void;
  /** The server went or came. */
  changed(): void;
};

/**
 * One host's nats-server: what one process says to another comes in order, later, or never. Messages are shared,
 * never copied: nobody may change one.
 */
export class LocalBus {
  private up = true;
  /** Counts the server's lives. */
  private life = 0;
  private readonly joined = new Set<ProcessName>();
  private readonly connected = new Map<ProcessName, number>();
  /** When the newest message arrives, by receiver and sender. */
  private readonly lastUs = new Map<ProcessName, Map<ProcessName, number>>();
  private readonly around: BusSurroundings;

  constructor(around: BusSurroundings) {
    this.around = around;
  }

  get isUp(): boolean {
    return this.up;
  }

  /** A process has begun: it connects when it can. */
  join(process: ProcessName): void {
    this.joined.add(process);
    this.connected.delete(process);
    if (this.up) this.connectLater(process);
  }

  leave(process: ProcessName): void {
    this.joined.delete(process);
    this.connected.delete(process);
  }

  isConnected(process: ProcessName): boolean {
    return this.up && (this.connected.get(process) ?? Number.POSITIVE_INFINITY) <= this.around.nowUs();
  }

  publish<Name extends Topic>(from: ProcessName, topic: Name, message: LocalMessages[Name]): void {
    if (!this.isConnected(from)) return;
    this.around.sent(message);
    const { life } = this;
    for (const to of SUBSCRIBERS[topic]) {
      this.around.at(this.arrivalUs(from, to), () => {
        if (this.life === life && this.isConnected(to)) this.around.deliver(to, topic, message);
      });
    }
  }

  /** When everything that is under way to `to` has been handed in; null when the server cannot say. */
  barrier(to: ProcessName, answer: (reached: boolean) => void): void {
    const nowUs = this.around.nowUs();
    if (!this.isConnected(to)) return this.around.at(nowUs, () => answer(false));
    let reachedUs = nowUs + this.around.delayUs();
    for (const lastUs of this.lastUs.get(to)?.values() ?? []) reachedUs = Math.max(reachedUs, lastUs);
    const { life } = this;
    this.around.at(reachedUs, () => answer(this.life === life && this.isConnected(to)));
  }

  /** The server dies and is started again after `downUs`. */
  lose(downUs: number): void {
    this.life += 1;
    this.up = false;
    this.connected.clear();
    this.lastUs.clear();
    this.around.changed();
    const { life } = this;
    this.around.at(this.around.nowUs() + downUs, () => {
      if (this.life !== life) return;
      this.up = true;
      this.around.changed();
      for (const process of this.joined) this.connectLater(process);
    });
  }

  private connectLater(process: ProcessName): void {
    const atUs = this.around.nowUs() + this.around.reconnectUs();
    this.connected.set(process, atUs);
    const { life } = this;
    this.around.at(atUs, () => {
      if (this.life === life && this.connected.get(process) === atUs) this.around.reconnected(process);
    });
  }

  private arrivalUs(from: ProcessName, to: ProcessName): number {
    let bySender = this.lastUs.get(to);
    if (bySender === undefined) {
      bySender = new Map();
      this.lastUs.set(to, bySender);
    }
    const atUs = Math.max(this.around.nowUs() + this.around.delayUs(), (bySender.get(from) ?? 0) + 1);
    bySender.set(from, atUs);
    return atUs;
  }
}
