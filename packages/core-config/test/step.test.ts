import type { QuorumMessage } from "@quorate/contracts";
import { describe, expect, it } from "vitest";
import {
  createRegister,
  type RegisterEffect,
  type RegisterInput,
  type RegisterState,
  registerProblems,
  stepRegister,
} from "../src/index.ts";
import {
  configFrom,
  documentText,
  modelTools,
  quorumMessage,
  refOf,
  storedDocument,
} from "./model-document.ts";

const nodes = [
  { id: 1, prio: 100 },
  { id: 2, prio: 99 },
  { id: 3, prio: 98 },
];
const first = documentText(1, nodes);

type Timeless<Input> = Input extends RegisterInput ? Omit<Input, "nowUs"> : never;

/** A register of one node, fed by hand. */
class Hand {
  state: RegisterState;
  nowUs = 1_000_000;

  constructor(self: number, text = first, term = 0, from: number | null = null) {
    this.state = createRegister(self, storedDocument(term, text, { from }), configFrom(text));
  }

  give(input: Timeless<RegisterInput>): readonly RegisterEffect[] {
    const { state, effects } = stepRegister(this.state, { ...input, nowUs: this.nowUs }, modelTools);
    this.state = state;
    return effects.filter((effect) => effect.kind !== "announce" && effect.kind !== "event");
  }

  quorum(part: Partial<QuorumMessage>): readonly RegisterEffect[] {
    this.nowUs += 1000;
    const message = quorumMessage({
      stored: this.state.stored.ref,
      node: this.state.self,
      stampUs: this.nowUs,
      ...part,
    });
    return this.give({ kind: "quorum", message });
  }

  /** The disk does what is asked. */
  persist(effects: readonly RegisterEffect[]): readonly RegisterEffect[] {
    const [effect] = effects;
    if (effect?.kind !== "persist") throw new Error(`no persist but ${effect?.kind}`);
    return this.give({ kind: "persisted", ref: effect.document.ref });
  }

  committed(part: Partial<QuorumMessage>): readonly RegisterEffect[] {
    return this.quorum({ committed: this.state.stored.ref, ...part });
  }

  propose(id: number, text: string): readonly RegisterEffect[] {
    const reason = { code: "operator", message: "test" };
    return this.give({ kind: "propose", id, base: this.state.stored.ref, text, reason, forwarded: false });
  }
}

const leading = { role: "master", leader: 1, term: 1 } as const;

function master(): Hand {
  const hand = new Hand(1);
  hand.persist(hand.quorum(leading));
  hand.committed(leading);
  return hand;
}

describe("a master", () => {
  it("stamps first, proposes nothing until that is committed, then one change at a time", () => {
    const hand = new Hand(1);
    const stamp = hand.quorum(leading);
    expect(stamp).toMatchObject([
      { kind: "persist", document: { ref: { term: 1, version: 1 }, from: 1, text: first } },
    ]);
    expect(hand.propose(1, documentText(1, nodes, "a"))).toEqual([]);
    expect(hand.persist(stamp)).toEqual([]);
    expect(hand.propose(2, documentText(1, nodes, "b"))).toEqual([]);
    const taken = hand.committed(leading);
    expect(taken).toMatchObject([{ kind: "persist", document: { ref: { version: 2 } } }]);
    hand.persist(taken);
    // The second was made against a document that is not the newest any more.
    expect(hand.committed(leading)).toMatchObject([
      { kind: "answer", id: 1, result: { ok: true, ref: { version: 2 } } },
      { kind: "answer", id: 2, result: { ok: false, code: "CONFIG_STALE" } },
    ]);
  });

  it("believes no commit of an older term", () => {
    const hand = new Hand(1, first, 0);
    hand.persist(hand.quorum({ ...leading, committed: hand.state.stored.ref }));
    expect(hand.quorum({ ...leading, committed: refOf(0, first) })).toEqual([]);
    expect(hand.propose(1, documentText(1, nodes, "a"))).toEqual([]);
  });

  it("changes nothing while a change of votes is joint", () => {
    const hand = master();
    hand.committed({ ...leading, joint: true });
    expect(hand.propose(1, documentText(1, nodes, "a"))).toEqual([]);
    expect(hand.committed(leading)).toMatchObject([{ kind: "persist" }]);
  });

  it("is asked for re-admission: the next number and nothing else, then with growing pauses", () => {
    const hand = master();
    const made = hand.committed({ ...leading, readmit: [3] });
    expect(made).toMatchObject([
      { kind: "persist", document: { text: documentText(2, nodes), ref: { version: 2 } } },
    ]);
    hand.persist(made);
    expect(hand.committed({ ...leading, readmit: [3] })).toEqual([]);
    hand.nowUs += 5_000_000;
    const again = hand.committed({ ...leading, readmit: [3] });
    expect(again).toMatchObject([{ kind: "persist", document: { ref: { version: 3 } } }]);
    hand.persist(again);
    hand.nowUs += 5_000_000;
    expect(hand.committed({ ...leading, readmit: [3] })).toEqual([]);
  });

  it("answers that the outcome is unknown when no quorum confirms in time, and keeps its place", () => {
    const hand = master();
    hand.persist(hand.propose(1, documentText(1, nodes, "a")));
    hand.nowUs += 5_000_000;
    const stampedAgain = { ...leading, committed: refOf(1, first) };
    expect(hand.quorum(stampedAgain)).toMatchObject([
      { kind: "answer", id: 1, result: { code: "REQUEST_TIMEOUT" } },
    ]);
    expect(hand.propose(2, documentText(2, nodes, "b"))).toEqual([]);
  });

  it("puts nothing else in the place of what may lie on the disk", () => {
    const hand = master();
    const [effect] = hand.propose(1, documentText(1, nodes, "a"));
    if (effect?.kind !== "persist") throw new Error("no persist");
    const reason = { code: "DISK_FULL", message: "full" };
    const { ref } = effect.document;
    expect(hand.give({ kind: "persist-failed", ref, surelyAbsent: false, reason })).toEqual([]);
    expect(registerProblems(hand.state, hand.nowUs)).toEqual([reason]);
    hand.nowUs += 1_000_000;
    expect(hand.committed(leading)).toEqual([{ kind: "persist", document: effect.document }]);
    expect(hand.give({ kind: "persist-failed", ref, surelyAbsent: true, reason })).toEqual([]);
    hand.nowUs += 1_000_000;
    hand.persist(hand.committed(leading));
    expect(registerProblems(hand.state, hand.nowUs)).toEqual([]);
  });

  it("that lost its role answers what waits", () => {
    const hand = new Hand(1);
    hand.persist(hand.quorum(leading));
    hand.propose(1, documentText(1, nodes, "a"));
    expect(hand.quorum({ role: "slave", leader: 2, term: 2 })).toMatchObject([
      { kind: "answer", id: 1, result: { ok: false, code: "NOT_MASTER" } },
    ]);
  });

  it("is not undone by its own lifted term: an operator's later prio stays", () => {
    const hand = master();
    const raised = documentText(1, [nodes[0] ?? { id: 1, prio: 1 }, { id: 2, prio: 500 }], "raised");
    hand.state = createRegister(1, storedDocument(1, raised, { from: 1 }), configFrom(raised));
    hand.quorum(leading);
    hand.persist(hand.quorum({ ...leading, term: 2 }));
    expect(hand.committed({ ...leading, term: 2 })).toEqual([]);
    // Won again after another led: this time it sticks.
    hand.quorum({ role: "slave", leader: 2, term: 3 });
    // The address goes first: a third of a token passes before a fresh master's first stamp.
    expect(hand.quorum({ ...leading, term: 4 })).toEqual([]);
    hand.nowUs += 333_000;
    hand.persist(hand.quorum({ ...leading, term: 4 }));
    expect(hand.committed({ ...leading, term: 4 })).toMatchObject([
      { kind: "persist", document: { reason: { code: "MASTERSHIP_STICKS" } } },
    ]);
  });
});

describe("a follower", () => {
  const following = { role: "slave", leader: 2, term: 3 } as const;

  it("takes a new stamp on what it has without asking, and asks for what it lacks", () => {
    const hand = new Hand(1);
    const same = { ...refOf(3, first) };
    expect(hand.quorum({ ...following, committed: same })).toMatchObject([
      { kind: "persist", document: { ref: same, from: 2, text: first } },
    ]);
    const other = new Hand(1);
    const newer = refOf(3, documentText(2, nodes));
    expect(other.quorum({ ...following, committed: newer })).toMatchObject([
      { kind: "fetch", from: 2, term: 3, ref: newer },
    ]);
  });

  it("goes for nothing of an older term, and drops an answer that comes under another leader", () => {
    const hand = new Hand(1);
    expect(hand.quorum({ ...following, committed: refOf(2, documentText(5, nodes)) })).toEqual([]);
    const text = documentText(2, nodes);
    const [asked] = hand.quorum({ ...following, committed: refOf(3, text) });
    if (asked?.kind !== "fetch") throw new Error("no fetch");
    hand.quorum({ role: "slave", leader: 3, term: 4 });
    const reason = { code: "x", message: "x" };
    expect(hand.give({ kind: "fetched", attempt: asked.attempt, ref: refOf(3, text), text, reason })).toEqual(
      [],
    );
    expect(hand.state.stored.ref.version).toBe(1);
  });

  it("refuses a second content of what it has: the register is forked", () => {
    const hand = new Hand(1, first, 3, 2);
    hand.quorum({ ...following, committed: { ...refOf(3, first), digest: "f".repeat(64) } });
    expect(registerProblems(hand.state, hand.nowUs)).toMatchObject([{ code: "CONFIG_FORKED" }]);
  });

  it("whose disk went back in time behind its promise is repaired before it does anything, even as master", () => {
    const hand = new Hand(1);
    const text = documentText(4, nodes, "promised");
    const promised = refOf(2, text);
    const asMaster = { role: "master", leader: 1, term: 3, stored: promised } as const;
    expect(hand.quorum(asMaster)).toEqual([]);
    expect(registerProblems(hand.state, hand.nowUs)).toMatchObject([{ code: "REGISTER_BEHIND" }]);
    const peer = {
      node: 3,
      state: "joined" as const,
      sinceUs: 0,
      lastHeardUs: null,
      bootId: null,
      incarnation: null,
      config: promised,
      links: [],
      reason: { code: "x", message: "x" },
    };
    const message = {
      stampUs: 0,
      node: 1,
      bootId: "0123456789abcdef",
      incarnation: 1,
      patience: 1,
      peers: [peer],
    };
    const [asked] = hand.give({ kind: "peers", message });
    if (asked?.kind !== "fetch") throw new Error("no fetch");
    expect(asked.from).toBe(3);
    const reason = { code: "x", message: "x" };
    hand.persist(hand.give({ kind: "fetched", attempt: asked.attempt, ref: promised, text, reason }));
    expect(hand.state.persisting).toMatchObject({ ref: { term: 3, version: 4 }, from: 1 });
  });

  it("does nothing on the word of a silent evaluator", () => {
    const hand = new Hand(1);
    const message = quorumMessage({
      ...following,
      stored: refOf(0, first),
      committed: refOf(3, first),
      stampUs: 0,
    });
    hand.nowUs = 10_000_000;
    expect(hand.give({ kind: "quorum", message })).toEqual([]);
    expect(registerProblems(hand.state, hand.nowUs)).toMatchObject([{ code: "EVALUATOR_SILENT" }]);
  });
});

describe("a node that knows of no leader", () => {
  const alone = { role: "suspended", leader: null, term: 4, quorate: "no" } as const;
  const newest = documentText(8, [...nodes, { id: 4, prio: 200 }]);

  function hint(hand: Hand, node: number, term: number, text: string): readonly RegisterEffect[] {
    const peer = {
      node,
      state: "joined" as const,
      sinceUs: 0,
      lastHeardUs: null,
      bootId: null,
      incarnation: null,
      config: refOf(term, text),
      links: [],
      reason: { code: "TEST", message: "test" },
    };
    const { self } = hand.state;
    const message = {
      stampUs: hand.nowUs,
      node: self,
      bootId: "00",
      incarnation: 1,
      patience: 1,
      peers: [peer],
    };
    return hand.give({ kind: "peers", message });
  }

  function leftBehind(): Hand {
    const hand = new Hand(2, documentText(6, nodes), 4, 1);
    hand.quorum(alone);
    expect(hint(hand, 3, 5, newest)).toEqual([]);
    return hand;
  }

  /** Fetched while nobody led, and on the disk. */
  function caughtUp(): Hand {
    const hand = leftBehind();
    hand.nowUs += 3_000_000;
    const [fetch] = hand.quorum(alone);
    expect(fetch).toMatchObject({ kind: "fetch", from: 3, ref: refOf(5, newest) });
    if (fetch?.kind !== "fetch") throw new Error("nothing was fetched");
    const reason = { code: "TEST", message: "test" };
    const taken = hand.give({
      kind: "fetched",
      attempt: fetch.attempt,
      ref: fetch.ref,
      text: newest,
      reason,
    });
    expect(taken).toMatchObject([
      { kind: "persist", document: { ref: { term: 5, version: 8 }, from: null } },
    ]);
    hand.persist(taken);
    return hand;
  }

  it("waits for one, then takes the newest document from whoever has it, to learn who may lead", () => {
    const hand = caughtUp();
    expect(hand.state.config.nodes.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(hand.quorum(alone)).toEqual([]);
  });

  it("makes it the leader's own once the leader turns out to have it, so that the evaluator counts it", () => {
    const hand = caughtUp();
    hint(hand, 4, 5, newest);
    const led = { role: "slave", leader: 4, term: 5, stored: refOf(4, documentText(6, nodes)) } as const;
    const own = hand.quorum(led);
    expect(own).toMatchObject([{ kind: "persist", document: { ref: { term: 5, version: 8 }, from: 4 } }]);
    hand.persist(own);
    expect(hand.quorum(led)).toEqual([]);
    expect(hand.quorum({ ...led, stored: refOf(5, newest) })).toEqual([]);
  });

  /** Answers what the hand has just asked for. */
  function answered(hand: Hand, [fetch]: readonly RegisterEffect[], text: string): readonly RegisterEffect[] {
    if (fetch?.kind !== "fetch") throw new Error("nothing was fetched");
    const reason = { code: "TEST", message: "test" };
    return hand.give({ kind: "fetched", attempt: fetch.attempt, ref: fetch.ref, text, reason });
  }

  const listed = [...nodes, { id: 4, prio: 50 }];

  it("does not run on a document that it does not stand in: it may be older than its own admission", () => {
    const hand = new Hand(4, documentText(1, listed));
    hand.quorum(alone);
    const without = documentText(7, nodes);
    hint(hand, 3, 4, without);
    hand.nowUs += 3_000_000;
    expect(answered(hand, hand.quorum(alone), without)).toEqual([]);
    expect(hand.state.config.nodes.map(({ id }) => id)).toContain(4);
    expect(registerProblems(hand.state, hand.nowUs).map(({ code }) => code)).toContain("NOT_LISTED");
  });

  /** A document without this node, told by a master while the own list is of version 8. */
  function toldWithout(version: number): Hand {
    const hand = new Hand(4, documentText(8, listed));
    const without = documentText(version, nodes);
    hint(hand, 3, 2, without);
    const taken = answered(hand, hand.quorum({ role: "slave", leader: 3, term: 2 }), without);
    if (taken.length > 0) hand.persist(taken);
    return hand;
  }

  it("does not run on what a master of long ago had, told in a datagram that was under way for seconds", () => {
    const { state, nowUs } = toldWithout(5);
    expect(state.config.nodes.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(registerProblems(state, nowUs).map(({ code }) => code)).toContain("NOT_LISTED");
  });

  it("runs on the list of a master who has taken it off", () => {
    expect(toldWithout(8).state.config.nodes.map(({ id }) => id)).toEqual([1, 2, 3]);
  });

  it("whose disk went back behind what nobody has any more takes what the cluster has by now", () => {
    const hand = new Hand(2, documentText(1, nodes));
    const promised = { ...alone, stored: refOf(4, documentText(6, nodes)) };
    hand.quorum(promised);
    hint(hand, 3, 3, documentText(5, nodes));
    hand.nowUs += 3_000_000;
    expect(hand.quorum(promised)).toEqual([]);
    expect(hint(hand, 3, 5, newest)).toMatchObject([{ kind: "fetch", from: 3, ref: refOf(5, newest) }]);
  });

  it("takes nothing that was asked for in vain: a leader is known again", () => {
    const hand = leftBehind();
    hand.nowUs += 3_000_000;
    const [fetch] = hand.quorum(alone);
    if (fetch?.kind !== "fetch") throw new Error("nothing was fetched");
    hand.quorum({ role: "slave", leader: 1, term: 6 });
    const reason = { code: "TEST", message: "test" };
    const { attempt, ref } = fetch;
    expect(hand.give({ kind: "fetched", attempt, ref, text: newest, reason })).toEqual([]);
  });
});
