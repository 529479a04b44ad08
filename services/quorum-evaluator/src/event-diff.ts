import type { QuorumMessage, Reason } from "@quorate/contracts";
import type { EventPublisher } from "@quorate/runtime";

const REMOVALS: readonly string[] = [
  "NODE_SILENT",
  "NODE_ONE_WAY",
  "NODE_LEFT",
  "NODE_LEAVES",
  "NODE_REBOOTED",
  "NODE_AMNESIC",
  "NODE_UNLISTED",
];
const HAND_OVERS: readonly string[] = ["MOVE_ORDERED", "PRIO_RAISED", "DRAINED"];

/** The node that a transition is about; null when it names none. */
function peerOf(reason: Reason): number | null {
  const node = reason.facts?.["node"];
  return typeof node === "number" && node > 0 ? node : null;
}

function viewName(message: QuorumMessage) {
  const { view } = message;
  return { term: view.term, number: view.number, members: view.members.map(({ node }) => node) };
}

/** Says what changed between two judgements, each with the transition that brought it about. */
export class EventDiff {
  private before: QuorumMessage | null = null;
  private readonly events: Pick<EventPublisher, "publish">;

  constructor(events: Pick<EventPublisher, "publish">) {
    this.events = events;
  }

  /** The state was lost before there was any judgement. */
  amnesiaFound(reason: Reason): void {
    this.events.publish("quorum", "amnesia_found", { old: null, new: "amnesic", reason, facts: {} });
  }

  drainRequested(): void {
    const reason: Reason = { code: "DRAIN_ORDERED", message: "This node was asked to leave in good order." };
    this.events.publish("quorum", "drain_requested", { old: null, new: "draining", reason, facts: {} });
  }

  publish(now: QuorumMessage, reasons: readonly Reason[]): void {
    const before = this.before;
    this.before = now;
    for (const reason of reasons) this.publishReason(now, reason);
    const cause = reasons.at(-1) ?? now.reason;
    const { term } = now;
    if (before !== null && before.term !== term) {
      this.events.publish("quorum", "term_raised", { old: before.term, new: term, reason: cause, facts: {} });
    }
    if (before?.role !== now.role) {
      this.events.publish("quorum", "role_changed", {
        old: before?.role ?? null,
        new: now.role,
        reason: now.reason,
        facts: { term },
      });
    }
    if ((before?.leader ?? null) !== now.leader) {
      const reason: Reason = {
        code: now.leader === null ? "MASTER_UNKNOWN" : "MASTER_KNOWN",
        message:
          now.leader === null
            ? `No master is known. ${now.reason.message}`
            : `Node ${now.leader} is master of term ${term}.`,
      };
      this.events.publish("quorum", "master_changed", {
        old: before?.leader ?? null,
        new: now.leader,
        reason,
        facts: { term },
      });
    }
    if (before !== null && (before.view.term !== now.view.term || before.view.number !== now.view.number)) {
      this.events.publish("quorum", "view_changed", {
        old: viewName(before),
        new: viewName(now),
        reason: cause,
        facts: {},
      });
    }
    if (before !== null && before.quorate !== now.quorate) {
      this.events.publish("quorum", "quorum_changed", {
        old: before.quorate,
        new: now.quorate,
        reason: now.reason,
        facts: now.votes,
      });
    }
  }

  private publishReason(now: QuorumMessage, reason: Reason): void {
    const peer = peerOf(reason);
    const { term } = now;
    if (HAND_OVERS.includes(reason.code)) {
      this.events.publish("quorum", "handover_started", {
        old: now.node,
        new: peer,
        reason,
        facts: { term },
      });
      return;
    }
    if (peer !== null) this.publishPeer(peer, reason);
    switch (reason.code) {
      case "READMITTED":
        this.events.publish("quorum", "readmitted", { old: "amnesic", new: "voter", reason, facts: {} });
        return;
      case "RELEASED": {
        const successor = reason.facts?.["successor"];
        this.events.publish("quorum", "handover_finished", {
          old: now.node,
          new: typeof successor === "number" ? successor : null,
          reason,
          facts: { term },
        });
        return;
      }
      case "HOST_WAS_SUSPENDED": {
        const pauseMs = Number(reason.facts?.["pauseMs"] ?? 0);
        this.events.publish("quorum", "kernel_paused", {
          old: null,
          new: pauseMs,
          reason,
          facts: { pauseMs },
        });
        return;
      }
      default:
        // Most transitions are told by what they change in the judgement.
        return;
    }
  }

  private publishPeer(peer: number, reason: Reason): void {
    const facts = { peer };
    if (REMOVALS.includes(reason.code)) {
      this.events.publish("quorum", "node_removed", { old: "member", new: "removed", reason, facts });
    } else if (reason.code === "NODE_READMITTED") {
      this.events.publish("quorum", "node_admitted", { old: "removed", new: "member", reason, facts });
    } else if (reason.code === "NODE_FENCED") {
      this.events.publish("quorum", "node_fenced", { old: "pending", new: "yes", reason, facts });
    }
  }
}
