import {
  type Ballot,
  CLOCK_RATE_ERROR,
  compareConfigRefs,
  compareViews,
  type ConfigRef,
  type EvaluatorState,
  type GrantMessage,
  type NodeId,
  quorumOf,
  type QuorumMessage,
  type ReportMessage,
  type View,
  type Voters,
} from "@quorate/contracts";
import type { StoredDocument } from "@quorate/core-config";
import { compareGrantNames } from "@quorate/core-failover";
import type { Host } from "./host.ts";
import type { Invariant, Violation } from "./options.ts";
import { Returns } from "./returns.ts";
import { SaidAloud } from "./said.ts";
import type { World } from "./world.ts";

/** How much longer a lease may be than what was last said of it, in tokens. */
const SAID_LATE = 0.4;

/** A question that was answered before another machine came is no older than this, in tokens. */
const FOREIGN_LONG = 2.5;

type Lease = {
  term: number;
  /** Of the evaluator that said so. */
  life: number;
  untilUs: number;
  /** When it last sent a ballot as master: voters may have acknowledged that one too. */
  saidUs: number;
};
type Chosen = { ref: ConfigRef; atUs: number };

/**
 * Looks at the world: kernels, disks, and what was said aloud; never at what a core believes. Called at every
 * change, so that nothing between two looks is missed: an overlap begins at the instant of some change.
 */
export class Checker {
  readonly violations: Violation[] = [];
  readonly holes = new Map<string, number>();
  elections = 0;
  private readonly world: World;
  private readonly masters = new Map<number, NodeId>();
  /** The newest master lease that each node has said it has. */
  private readonly leases = new Map<NodeId, Lease>();
  private readonly released = new Map<NodeId, number>();
  private readonly views = new Map<string, string>();
  private readonly documents = new Map<string, string>();
  /** Who has ever stored a document under the term in which it counts. */
  private readonly counts = new Map<string, { holders: Set<NodeId>; electorates: Voters[] }>();
  private chosen: Chosen | null = null;
  private readonly chosenKeys = new Set<string>();
  /** What each node last said as a master: whom it takes for fenced. */
  private readonly judgements = new Map<NodeId, QuorumMessage>();
  private readonly firstClaims = new Set<string>();
  private readonly said = new SaidAloud();
  private readonly returns: Returns;

  constructor(world: World) {
    this.world = world;
    this.returns = new Returns(world);
  }

  violate(invariant: Invariant, message: string): void {
    const { world } = this;
    world.tell(() => `VIOLATION ${invariant}: ${message}`);
    const sight = [...world.hosts.values()].map((host) => describeHost(host));
    this.violations.push({ invariant, atUs: world.nowUs, message, world: sight });
  }

  /** INV-1, whenever a host may have begun to answer for the address. */
  noteAnswering(host: Host): void {
    if (!host.answers) return;
    this.world.lastHolder = host.id;
    for (const other of this.world.hosts.values()) {
      if (other === host || !other.answers) continue;
      if (host.kernel.wasFlushed || other.kernel.wasFlushed) {
        this.noteHole("ruleset flushed");
        continue;
      }
      this.violate("INV-1", `nodes ${host.id} and ${other.id} both answer for the address`);
    }
  }

  /** A host lost its power: what it held is gone. */
  noteGone(host: Host): void {
    this.leases.delete(host.id);
    this.judgements.delete(host.id);
  }

  /** INV-5 and INV-6: what reaches the disk of the evaluator. */
  noteEvaluatorSaved(host: Host, state: EvaluatorState): void {
    this.noteView(host, state.view, state.follows === host.id);
    if (state.amnesic || state.stored.term !== state.term || state.stored.term === 0) return;
    const key = refKey(state.stored);
    let count = this.counts.get(key);
    if (count === undefined) {
      count = { holders: new Set(), electorates: [] };
      this.counts.set(key, count);
    }
    const { holders } = count;
    holders.add(host.id);
    // Whose quorum counts is for the master of the term to say.
    if (state.follows === host.id) count.electorates = [state.voters, ...state.jointWith];
    const everywhere = count.electorates.every((voters) => {
      let votes = 0;
      for (const node of voters.nodes) if (holders.has(node.id)) votes += node.votes;
      return votes >= quorumOf(voters.totalVotes);
    });
    if (everywhere && count.electorates.length > 0 && !this.chosenKeys.has(key))
      this.noteChosen(state.stored);
  }

  /** INV-6: what a ballot says is on the disk at the moment it is sent. INV-2 and INV-5: what it claims. */
  noteBallot(host: Host, ballot: Ballot): void {
    const disk = host.disk.evaluator;
    if (disk === null) this.violate("INV-6", `node ${host.id} sent a ballot and has no state on its disk`);
    else {
      const differs =
        (disk.bootId !== ballot.name.bootId && "boot") ||
        (disk.term !== ballot.term && "term") ||
        (disk.follows !== ballot.follows && "vote") ||
        (disk.out !== ballot.out && "out") ||
        (disk.amnesic !== ballot.amnesic && "amnesia") ||
        (compareConfigRefs(disk.stored, ballot.stored) !== 0 && "stored configuration") ||
        ((disk.view.term !== ballot.view.term || disk.view.number !== ballot.view.number) && "view") ||
        (ballot.released !== null && disk.overTerm !== ballot.released.term && "release") ||
        null;
      if (differs !== null)
        this.violate("INV-6", `node ${host.id} sent a ballot whose ${differs} is not on its disk`);
    }
    const broken = this.said.note(host.id, ballot);
    if (broken !== null) this.violate("INV-6", `node ${host.id} ${broken}`);
    const repeated = this.said.noteEchoes(host.id, host.evaluator.life, ballot);
    if (repeated !== null) this.violate("INV-2", `node ${host.id} ${repeated}`);
    this.noteView(host, ballot.view, ballot.master);
    if (ballot.released !== null) this.noteReleased(host, ballot.released.term);
    if (ballot.master) {
      this.noteMaster(host, ballot.term, ballot.stored);
      const lease = this.leases.get(host.id);
      if (lease?.life === host.evaluator.life) lease.saidUs = this.world.nowUs;
    }
    if (ballot.committed !== null) this.noteCommitted(host, ballot.committed);
  }

  private noteReleased(host: Host, term: number): void {
    this.released.set(host.id, term);
    const lease = this.leases.get(host.id);
    if (lease !== undefined && lease.term <= term) lease.untilUs = Math.min(lease.untilUs, this.world.nowUs);
  }

  /**
   * A late acknowledgement may show only afterwards that a lease ran on for a while: nobody ever said so, and it is from
   * that end that a token counts.
   */
  noteLeaseEnd(host: Host, term: number | null, masterLeaseEndUs: number): void {
    const known = this.leases.get(host.id);
    if (known === undefined || term !== known.term || known.life !== host.evaluator.life) return;
    if (masterLeaseEndUs >= host.localUs()) return;
    known.untilUs = Math.max(known.untilUs, host.clock.realUs(masterLeaseEndUs));
  }

  /** INV-7: who is out has no lease. INV-2: one master lease at any instant; one that lapsed for a token, or was released, never comes back. */
  noteGrant(host: Host, grant: GrantMessage): void {
    const nowUs = this.world.nowUs;
    const disk = host.disk.evaluator;
    if (grant.nodeLeaseEndUs > host.localUs() && (disk === null || disk.amnesic || disk.out))
      this.violate(
        "INV-7",
        `node ${host.id} gives itself a node lease while it is ${disk?.out === true ? "out" : "amnesic"}`,
      );
    if (grant.nodeLeaseEndUs > host.localUs() && !this.returns.isAdmitted(host))
      this.violate("INV-7", `node ${host.id} has rebooted, and a node lease that no view gave this boot`);
    const known = this.leases.get(host.id);
    const runs = grant.role === "master" && !grant.close && grant.masterLeaseEndUs > host.localUs();
    if (!runs) {
      // A later life of the process knows of no lease that its predecessor had: it runs on, unless it is released.
      const isOwn = known?.life === host.evaluator.life;
      if (isOwn && known.untilUs > nowUs) known.untilUs = nowUs;
      return;
    }
    const untilUs = host.clock.realUs(grant.masterLeaseEndUs);
    const released = this.released.get(host.id) ?? 0;
    if (released >= grant.term)
      this.violate("INV-2", `node ${host.id} released term ${released} and is master of term ${grant.term}`);
    const { life } = host.evaluator;
    // An acknowledgement that was held up shows only afterwards that a lease ran on: nobody ever said so.
    const isTold = nowUs > this.world.network.heldUpUntilUs;
    if (known?.term === grant.term && isTold && isMasterAgain(host, grant, known, this.world.tokenUs))
      this.violate("INV-2", `the mastership of node ${host.id} in term ${grant.term} lapsed and came back`);
    for (const [node, lease] of this.leases) {
      if (node !== host.id && lease.untilUs > nowUs)
        this.violate(
          "INV-2",
          `nodes ${host.id} (term ${grant.term}) and ${node} (term ${lease.term}) both hold the master lease`,
        );
    }
    this.leases.set(host.id, { term: grant.term, life, untilUs, saidUs: known?.saidUs ?? nowUs });
  }

  /** INV-3: whom a master with a lease takes for fenced has its gates shut, then and later. */
  noteQuorum(host: Host, message: QuorumMessage): void {
    this.judgements.set(host.id, message);
    if (message.committed !== null) this.noteCommitted(host, message.committed);
    if (message.role !== "master") return;
    for (const fence of message.fences)
      if (fence.verdict === "yes") this.checkFence(host, message, fence.node);
  }

  /** INV-3, whenever the gates of a node's virtual machines open or stay open for longer. */
  noteNodeGate(host: Host): void {
    for (const [node, message] of this.judgements) {
      const master = this.world.hosts.get(node);
      if (master === undefined || message.role !== "master") continue;
      if (message.fences.some((fence) => fence.node === host.id && fence.verdict === "yes"))
        this.checkFence(master, message, host.id);
    }
  }

  /** INV-1, when our own command to take the address away is given: gates close first. */
  noteAddressOrderedAway({ id, kernel }: Host): void {
    if (kernel.guarded && kernel.hasAddress && kernel.remainingUs > 0)
      this.violate("INV-1", `node ${id} takes the address away behind an open gate`);
  }

  /** INV-1, when our own command to take the address is given: nobody else has answered for it for long. */
  noteAddressOrdered({ id, kernel }: Host): void {
    const { foreignSinceUs, foreignUntilUs, nowUs, tokenUs } = this.world;
    const isForeign = nowUs < foreignUntilUs && nowUs - foreignSinceUs > FOREIGN_LONG * tokenUs;
    if (isForeign && kernel.carrier && !kernel.hasAddress)
      this.violate("INV-1", `node ${id} takes an address that another machine answers for`);
  }

  /** INV-6: a confirmed close is on the disk. */
  noteReport(host: Host, report: ReportMessage): void {
    if (report.shutConfirmed === null) return;
    if (compareGrantNames(host.run.closed, report.shutConfirmed) < 0)
      this.violate("INV-6", `node ${host.id} confirmed a close that it has not written down`);
  }

  /** INV-6: only what is durable is announced. */
  noteAnnounced(host: Host, ref: ConfigRef): void {
    if (compareConfigRefs(host.disk.document.ref, ref) < 0)
      this.violate("INV-6", `node ${host.id} announces ${name(ref)}, which is not on its disk`);
  }

  /** INV-5: one content per (term, version). */
  noteDocument(host: Host, { ref }: StoredDocument): void {
    this.once(this.documents, `${ref.term}/${ref.version}`, ref.digest, `document (on node ${host.id})`);
  }

  private noteView(host: Host, view: View, isMaster: boolean): void {
    if (view.term === 0) return;
    const isNew = this.once(
      this.views,
      `${view.term}.${view.number}`,
      view.members.map((member) => `${member.node}:${member.bootId}`).join(" "),
      "view",
    );
    if (isNew) this.returns.noteView(host, view, isMaster);
  }

  private noteMaster(host: Host, term: number, stored: ConfigRef): void {
    const known = this.masters.get(term);
    if (known === undefined) {
      this.masters.set(term, host.id);
      this.elections += 1;
    } else if (known !== host.id)
      this.violate("INV-2", `term ${term} has the masters ${known} and ${host.id}`);
    const claim = `${term}`;
    if (this.firstClaims.has(claim)) return;
    this.firstClaims.add(claim);
    const { chosen } = this;
    if (chosen !== null && chosen.ref.term < term && compareConfigRefs(stored, chosen.ref) < 0)
      this.violate(
        "INV-5",
        `${name(chosen.ref)} was committed; node ${host.id}, master of term ${term}, holds ${name(stored)}`,
      );
  }

  private noteChosen(ref: ConfigRef): void {
    this.chosenKeys.add(refKey(ref));
    const { chosen } = this;
    if (chosen !== null) {
      const [older, newer] = compareConfigRefs(chosen.ref, ref) <= 0 ? [chosen.ref, ref] : [ref, chosen.ref];
      const forked = older.version === newer.version && older.digest !== newer.digest;
      if (older.version > newer.version || forked)
        this.violate("INV-5", `${name(older)} and then ${name(newer)} were committed`);
    }
    if (chosen === null || compareConfigRefs(ref, chosen.ref) > 0)
      this.chosen = { ref, atUs: this.world.nowUs };
  }

  /** INV-5: what is called committed is on the disks of a quorum. */
  private noteCommitted(host: Host, ref: ConfigRef): void {
    if (ref.term > 0 && !this.chosenKeys.has(refKey(ref)))
      this.violate("INV-5", `node ${host.id} calls ${name(ref)} committed, which no quorum has stored`);
  }

  private checkFence(master: Host, message: QuorumMessage, node: NodeId): void {
    const host = this.world.hosts.get(node);
    // A judgement counts as long as its lease: later nothing may be done on it.
    if (host === undefined || !master.up || master.localUs() >= message.masterLeaseEndUs) return;
    // Re-admitted by a later view, which it enters clean: what was judged under the earlier one is settled.
    const view = host.disk.evaluator?.view;
    if (view !== undefined && compareViews(view, message.view) > 0) return;
    if (host.vm.open)
      this.violate(
        "INV-3",
        `node ${master.id}, master of term ${message.term}, takes node ${node} for fenced, whose gates are open`,
      );
  }

  /** Whether nobody has said it before. */
  private once(seen: Map<string, string>, key: string, content: string, what: string): boolean {
    const known = seen.get(key);
    if (known === undefined) seen.set(key, content);
    else if (known !== content)
      this.violate("INV-5", `${what} ${key} has two contents: ${known} and ${content}`);
    return known === undefined;
  }

  /** Something that may happen by what is promised, and is worth counting. */
  noteHole(what: string): void {
    this.holes.set(what, (this.holes.get(what) ?? 0) + 1);
  }
}

/**
 * Whether the lease had lapsed for a token before this grant. A restarted evaluator learns from the voters what its
 * predecessor did not live to hear, so its lease counts from the predecessor's last ballot. A node that is a majority
 * by itself is missed by nobody: without its vote there is no other master.
 */
function isMasterAgain(host: Host, grant: GrantMessage, known: Lease, tokenUs: number): boolean {
  const untilUs =
    known.life === host.evaluator.life ? known.untilUs : Math.max(known.untilUs, known.saidUs + tokenUs);
  const lapsedUs = host.clock.realUs(grant.stampUs) - untilUs;
  return lapsedUs > tokenUs * (1 + CLOCK_RATE_ERROR + SAID_LATE) && !isMajorityAlone(host);
}

function isMajorityAlone(host: Host): boolean {
  const state = host.disk.evaluator;
  return (
    state !== null &&
    [state.voters, ...state.jointWith].every((voters) => {
      const own = voters.nodes.find((node) => node.id === host.id)?.votes ?? 0;
      return own >= quorumOf(voters.totalVotes);
    })
  );
}

function refKey(ref: ConfigRef): string {
  return `${ref.term}/${ref.version}/${ref.digest}`;
}

function name(ref: ConfigRef): string {
  return `version ${ref.version} of term ${ref.term} (${ref.digest.slice(0, 8)})`;
}

/** One line of what a host looks like from outside. */
export function describeHost(host: Host): string {
  const { kernel, disk } = host;
  if (!host.up) return `node ${host.id}: off`;
  const state = disk.evaluator;
  const processes = host.processes.map((process) =>
    process.running ? `${process.name}${process.stopped ? " stopped" : ""}` : `${process.name} dead`,
  );
  const gate = kernel.guarded ? `open for ${Math.round(kernel.remainingUs / 1000)} ms` : "not there";
  return [
    `node ${host.id} (boot ${host.boot}, local ${(host.localUs() / 1e6).toFixed(3)}):`,
    `address ${kernel.hasAddress ? "present" : "absent"}, gate ${gate},`,
    `service ${kernel.service}, ${processes.join(", ")};`,
    state === null
      ? "no evaluator state"
      : `on disk term ${state.term}, follows ${state.follows}, over ${state.overTerm}, view ${state.view.term}.${state.view.number}` +
        ` of ${state.view.members.map(({ node }) => node).join(" ")}${state.out ? ", out" : ""}${state.amnesic ? ", amnesic" : ""},` +
        ` stored ${name(state.stored)}`,
  ].join(" ");
}
