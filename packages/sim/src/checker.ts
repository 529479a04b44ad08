import {
  compareConfigRefs,
  type ConfigRef,
  type EvaluatorState,
  type NodeId,
  type QuorumMessage,
} from "@quorate/contracts";
import { timingOf } from "@quorate/core-quorum";
import type { Host } from "./host.ts";

export type Violation = { invariant: string; atUs: number; message: string };

/** What the checker sees of the world: the hosts' gates and clocks. */
export type Sight = {
  readonly tokenMs: number;
  hosts(): Host[];
  localUs(host: Host): number;
  nowUs(): number;
};

/** Watches the invariants from outside: the gates, and what was said; never what a core believes of others. */
export class Checker {
  readonly violations: Violation[] = [];
  elections = 0;
  private readonly sight: Sight;
  private readonly masters = new Map<number, NodeId>();
  private readonly views = new Map<string, string>();
  private readonly documents = new Map<string, string>();
  private committed: ConfigRef | null = null;

  constructor(sight: Sight) {
    this.sight = sight;
  }

  /** INV-5: versions rise, and any later master holds the newest committed one. */
  noteCommitted(message: QuorumMessage): void {
    const { committed } = message;
    if (message.role !== "master" || committed === null) return;
    const before = this.committed;
    if (before !== null && message.term > before.term && committed.version < before.version) {
      this.violate(
        "INV-5",
        `version ${before.version} was committed, the master of term ${message.term} has ${committed.version}`,
      );
    }
    if (before === null || compareConfigRefs(committed, before) > 0) this.committed = committed;
  }

  /** INV-5: one content per (term, version). */
  noteDocument(ref: ConfigRef): void {
    this.noteOnce(this.documents, `${ref.term}/${ref.version}`, ref.digest, "document");
  }

  /** INV-2: a term has at most one master, ever. */
  noteWin(host: Host, term: number): void {
    this.elections += 1;
    const known = this.masters.get(term);
    if (known !== undefined && known !== host.id)
      this.violate("INV-2", `term ${term} has masters ${known} and ${host.id}`);
    this.masters.set(term, host.id);
  }

  /** INV-5: a view (term, number) has one content for ever. */
  noteView(state: EvaluatorState): void {
    const { view } = state;
    if (view.term > 0)
      this.noteOnce(this.views, `${view.term}.${view.number}`, JSON.stringify(view.members), "view");
  }

  /** INV-1: at most one gate of the cluster address is open. */
  checkGates(): void {
    const open = this.openGates();
    if (open.length > 1) {
      this.violate(
        "INV-1",
        `gates open on ${open.map((host) => `${host.id} (term ${host.gate.term})`).join(" and ")}`,
      );
    }
  }

  /** INV-3: what a master takes for fenced has no open gate. */
  checkFences(master: Host, message: QuorumMessage): void {
    const { sight } = this;
    // A message that was held back for so long is dropped by everybody on the node.
    const stale = sight.localUs(master) - message.stampUs > timingOf(sight.tokenMs).staleUs;
    if (message.role !== "master" || stale) return;
    for (const fence of message.fences) {
      const host = sight.hosts().find(({ id }) => id === fence.node);
      if (fence.verdict !== "yes" || host === undefined) continue;
      if (host.up && sight.localUs(host) < host.nodeGateEndLocalUs) {
        this.violate(
          "INV-3",
          `master ${master.id} takes node ${fence.node} for fenced, whose gates are open`,
        );
      }
    }
  }

  /** After the faults: one holder, nobody suspended, one configuration. */
  checkLiveness(): void {
    const hosts = this.sight.hosts();
    const open = this.openGates();
    if (open.length !== 1) this.violate("liveness", `after healing ${open.length} nodes hold the address`);
    const outside = hosts.filter((host) => host.quorum?.role === "suspended");
    if (outside.length > 0) {
      const names = outside.map((host) => `${host.id} (${host.quorum?.reason.code})`);
      this.violate("liveness", `after healing suspended: ${names.join(", ")}`);
    }
    const versions = new Set(hosts.map(({ durable }) => `${durable.stored.term}/${durable.stored.version}`));
    if (versions.size > 1)
      this.violate("liveness", `after healing configurations differ: ${[...versions].join(" ")}`);
  }

  private openGates(): Host[] {
    return this.sight.hosts().filter((host) => host.up && this.sight.localUs(host) < host.gate.endLocalUs);
  }

  private noteOnce(seen: Map<string, string>, key: string, content: string, what: string): void {
    const known = seen.get(key);
    if (known !== undefined && known !== content)
      this.violate("INV-5", `${what} ${key} has two contents: ${known} and ${content}`);
    seen.set(key, content);
  }

  private violate(invariant: string, message: string): void {
    this.violations.push({ invariant, atUs: this.sight.nowUs(), message });
  }
}
