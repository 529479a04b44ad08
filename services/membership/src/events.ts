import type { MembershipEffect } from "@quorate/core-membership";
import type { EventPublisher } from "@quorate/runtime";

const REJECTED_EVERY_MS = 10_000;
/** Patience counts as changed when it crosses this: small stutters are not news. */
const PATIENCE_NEWS = 1.2;

/** The events of domain `membership`. */
export class MembershipEvents {
  readonly #publisher: EventPublisher;
  #rejectedTold = 0;
  #rejectedAtMs = 0;
  #patienceTold = 1;

  constructor(publisher: EventPublisher) {
    this.#publisher = publisher;
  }

  peerChanged(effect: Extract<MembershipEffect, { kind: "peer-changed" }>): void {
    this.#publisher.publish("membership", "peer_state_changed", {
      old: effect.old,
      new: effect.new,
      reason: effect.reason,
      facts: { peer: effect.node },
    });
  }

  linkChanged(effect: Extract<MembershipEffect, { kind: "link-changed" }>): void {
    this.#publisher.publish("membership", "link_state_changed", {
      old: effect.up ? "down" : "up",
      new: effect.up ? "up" : "down",
      reason: effect.reason,
      facts: { peer: effect.node, ring: effect.ring },
    });
  }

  /** To be called every second or so; speaks at most every ten seconds. */
  rejected(refused: number, nowMs: number): void {
    if (refused === this.#rejectedTold || nowMs - this.#rejectedAtMs < REJECTED_EVERY_MS) return;
    const count = refused - this.#rejectedTold;
    this.#rejectedTold = refused;
    this.#rejectedAtMs = nowMs;
    this.#publisher.publish("membership", "datagrams_rejected", {
      old: null,
      new: refused,
      reason: { code: "datagrams-rejected", message: `${count} datagrams were dropped at the door.` },
      facts: { count },
    });
  }

  patience(patience: number): void {
    const late = patience > PATIENCE_NEWS;
    if (late === this.#patienceTold > PATIENCE_NEWS) return;
    const old = this.#patienceTold;
    this.#patienceTold = patience;
    this.#publisher.publish("membership", "patience_changed", {
      old,
      new: patience,
      reason: late
        ? { code: "own-loop-late", message: "This node's own loop was late; it is more patient with others." }
        : { code: "own-loop-on-time", message: "This node's own loop has been on time again." },
      facts: {},
    });
  }
}
