import type { Ballot, ClusterConfig, NodeId, ReportMessage } from "@quorate/contracts";
import { initialState, type QuorumInput, type QuorumState, startQuorum } from "./state.ts";
import { stepQuorum } from "./step.ts";

type Input = QuorumInput extends infer One
  ? One extends { nowUs: number }
    ? Omit<One, "nowUs" | "drainedUs">
    : never
  : never;

interface Actor {
  readonly id: NodeId;
  state: QuorumState;
  wakeAtUs: number;
  /** What its actuator, which obeys at once, last heard and last shut. */
  obeyed: { term: number; generation: number };
  shut: { term: number; generation: number } | null;
}

const TOKEN_MS = 1000;
const IDS: readonly NodeId[] = [1, 2, 3];
const STEP_US = 5_000;
const STEPS_PER_SLICE = 5;
const OBSERVE_EVERY_STEPS = 10;
const ELECTION_SLICES = 160;
const HAND_OVER_SLICES = 20;
const HAND_OVERS: readonly (readonly [NodeId, NodeId])[] = [
  [1, 2],
  [2, 3],
  [3, 1],
];

/**
 * Leads a cluster of three that exists only here through an election and three hand-overs, on a clock of its own, in
 * slices of some milliseconds; returns the codes of the reasons met. Touches nothing outside itself.
 *
 * Functions are compiled when they are first called, so a process that has never seen a hand-over is slowest at the
 * one moment when it matters: the first hand-over of a node took 15 ms longer than its later ones (measured), and a
 * node may run for months before its first.
 */
export function* rehearseHandOvers(): Generator<void, ReadonlySet<string>> {
  const stage = new Stage();
  for (let slice = 0; slice < ELECTION_SLICES; slice += 1) {
    stage.run(STEPS_PER_SLICE);
    yield;
  }
  for (const [from, target] of HAND_OVERS) {
    stage.give(from, { kind: "move", target });
    for (let slice = 0; slice < HAND_OVER_SLICES; slice += 1) {
      stage.run(STEPS_PER_SLICE);
      yield;
    }
  }
  return stage.codes;
}

class Stage {
  readonly codes = new Set<string>();
  #nowUs = 10_000_000;
  #steps = 0;
  readonly #actors: Actor[];
  #post: { to: NodeId; ballot: Ballot }[] = [];

  constructor() {
    const config = stageConfig();
    const ref = { term: 0, version: 1, digest: "0".repeat(64) };
    this.#actors = IDS.map((id) => ({
      id,
      state: startQuorum(initialState(config, ref, id), {
        nowUs: this.#nowUs,
        bootId: id.toString(16).padStart(16, "0"),
        seed: id,
      }),
      wakeAtUs: 0,
      obeyed: { term: 0, generation: 0 },
      shut: null,
    }));
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step += 1) {
      this.#nowUs += STEP_US;
      this.#steps += 1;
      const post = this.#post;
      this.#post = [];
      for (const { to, ballot } of post) this.give(to, { kind: "heard", ballot, receivedAtUs: this.#nowUs });
      for (const actor of this.#actors) {
        if (this.#steps % OBSERVE_EVERY_STEPS === 0) this.#observe(actor);
        if (this.#nowUs >= actor.wakeAtUs) this.give(actor.id, { kind: "tick" });
      }
    }
  }

  give(id: NodeId, input: Input): void {
    const actor = this.#actors.find((each) => each.id === id);
    if (actor === undefined) return;
    const result = stepQuorum(actor.state, { ...input, nowUs: this.#nowUs, drainedUs: this.#nowUs });
    actor.state = result.state;
    actor.wakeAtUs = result.wakeAtUs;
    for (const { code } of result.reasons) this.codes.add(code);
    for (const effect of result.effects) {
      if (effect.kind === "ballot") {
        for (const to of IDS) if (to !== id) this.#post.push({ to, ballot: effect.ballot });
      }
      if (effect.kind === "grant") {
        const { term, generation, close } = effect.grant;
        actor.obeyed = { term, generation };
        if (close) actor.shut = { term, generation };
      }
    }
  }

  #observe(actor: Actor): void {
    const peers = IDS.filter((id) => id !== actor.id).map((node) => ({
      node,
      state: "joined" as const,
      sinceUs: actor.state.peerStates.get(node)?.sinceUs ?? this.#nowUs,
    }));
    this.give(actor.id, { kind: "peers", stampUs: this.#nowUs, peers, patience: 1 });
    this.give(actor.id, { kind: "report", report: reportOf(actor, this.#nowUs) });
  }
}

function reportOf(actor: Actor, stampUs: number): ReportMessage {
  return {
    stampUs,
    ...actor.obeyed,
    gate: "shut",
    shutConfirmed: actor.shut,
    able: { ok: true, code: "OK", message: "This node could serve as master." },
    cleanUnderTerm: actor.obeyed.term,
    address: "absent",
    service: "none",
    problems: [],
    guarantees: [],
  };
}

function stageConfig(): ClusterConfig {
  return {
    clusterName: "rehearsal",
    configVersion: 1,
    tokenMs: TOKEN_MS,
    transport: "udpu",
    rings: [{ ring: 0, mcastport: 5405, ttl: 1 }],
    totalVotes: IDS.length,
    quorumVotes: 2,
    ihttpdPorts: [],
    nodes: IDS.map((id) => ({
      id,
      prio: 100 - id,
      votes: 1,
      addresses: [`192.0.2.${id}`],
      replication: true,
    })),
    clusterIps: [],
    managedService: { kind: "none" },
    routePort: 5407,
    notHonoured: [],
  };
}
