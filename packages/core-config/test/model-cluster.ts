/**
 * A small model of everything around the register, driven by a seed: evaluators that vote, follow and count;
 * a bus and heartbeats that lose, delay, double and reorder; disks that fail; processes that crash at any
 * point. It checks INV-5 as it goes and throws with the seed's story when it breaks.
 */
import { compareConfigRefs, type ConfigRef, type NodeId } from "@quorate/contracts";
import {
  createRegister,
  type ProposalResult,
  type RegisterEffect,
  type RegisterInput,
  type RegisterState,
  type StoredDocument,
  sameRef,
  stepRegister,
} from "../src/index.ts";
import { configFrom, documentText, modelTools, quorumMessage, storedDocument } from "./model-document.ts";

interface Evaluator {
  term: number;
  follows: NodeId | null;
  master: boolean;
  stored: ConfigRef;
  /** Volatile: the newest ballots received, and what is known to be committed. */
  ballots: Map<NodeId, { term: number; follows: NodeId | null; stored: ConfigRef }>;
  committed: ConfigRef | null;
}

interface Node {
  readonly id: NodeId;
  disk: StoredDocument;
  register: RegisterState;
  evaluator: Evaluator;
  pendingPersist: StoredDocument | null;
  /** Rises with every crash of the distributor: what was on its way to the old process is lost. */
  process: number;
}

interface Mail {
  readonly what: string;
  deliver(): void;
}

export interface Faults {
  readonly loss: number;
  readonly crash: number;
  readonly diskFailure: number;
  readonly election: number;
}

export class ModelCluster {
  readonly nodes: Node[] = [];
  nowUs = 0;
  readonly committedEver: ConfigRef[] = [];
  readonly answers = new Map<number, ProposalResult>();
  readonly #random: () => number;
  #mail: Mail[] = [];
  #nextProposal = 1;
  #faults: Faults;
  /** Parents of every content ever made, by digest. */
  readonly #parents = new Map<string, Set<string>>();
  readonly #contents = new Map<string, string>();
  /** The document that an open proposal became. */
  readonly #madeFrom = new Map<number, string>();

  constructor(seed: number, size: number, faults: Faults) {
    this.#random = mulberry32(seed);
    this.#faults = faults;
    const text = documentText(
      1,
      Array.from({ length: size }, (_, index) => ({ id: index + 1, prio: 100 - index })),
    );
    for (let id = 1; id <= size; id++) {
      const disk = storedDocument(0, text);
      this.nodes.push({
        id,
        disk,
        register: createRegister(id, disk, configFrom(text)),
        evaluator: {
          term: 0,
          follows: null,
          master: false,
          stored: disk.ref,
          ballots: new Map(),
          committed: null,
        },
        pendingPersist: null,
        process: 0,
      });
    }
  }

  /** One random thing happens. */
  step(): void {
    this.nowUs += Math.floor(this.#random() * 50_000);
    const node = this.#pick(this.nodes);
    if (this.#happens(this.#faults.election)) this.elect(this.#pick(this.nodes));
    if (this.#happens(this.#faults.crash)) this.#crash(this.#pick(this.nodes));
    if (this.#happens(this.#faults.crash)) this.#crashEvaluator(this.#pick(this.nodes));
    const choice = this.#random();
    if (choice < 0.65) this.#deliverOne();
    else if (choice < 0.75) this.#speak(node);
    else if (choice < 0.88) this.#finishPersist(node);
    else if (choice < 0.91 && this.#faults.loss > 0) this.#propose(node);
    else if (choice < 0.912 && this.#faults.election > 0) this.#liftTerm();
    else this.#input(node, { kind: "tick", nowUs: this.nowUs });
  }

  /** The faults are over: time goes on with everything arriving in order. */
  settle(rounds: number): void {
    this.#faults = { loss: 0, crash: 0, diskFailure: 0, election: 0 };
    for (let round = 0; round < rounds; round++) {
      this.nowUs += 100_000;
      for (const node of this.nodes) this.#speak(node);
      while (this.#mail.length > 0) this.#deliverOne();
      for (const node of this.nodes) this.#finishPersist(node);
      for (const node of this.nodes) this.#input(node, { kind: "tick", nowUs: this.nowUs });
    }
  }

  /** A candidate wins if a quorum that it reaches finds its register as new as its own. */
  elect(candidate: Node): boolean {
    const others = this.nodes.filter((node) => node !== candidate);
    const quorum = Math.floor(this.nodes.length / 2) + 1;
    const voters = [
      candidate,
      ...shuffled(others, this.#random).slice(0, this.#faults.loss > 0 ? quorum - 1 : others.length),
    ];
    const isNewEnough = voters.every(
      (voter) => compareConfigRefs(voter.evaluator.stored, candidate.evaluator.stored) <= 0,
    );
    if (!isNewEnough) return false;
    const term = Math.max(...this.nodes.map((node) => node.evaluator.term)) + 1;
    for (const voter of voters) {
      voter.evaluator.term = term;
      voter.evaluator.follows = candidate.id;
      voter.evaluator.master = voter === candidate;
      voter.evaluator.committed = null;
      voter.evaluator.ballots.clear();
    }
    return true;
  }

  #liftTerm(): void {
    const masters = this.nodes.filter((node) => node.evaluator.master);
    const master = masters.find(
      (node) => node.evaluator.term === Math.max(...masters.map((m) => m.evaluator.term)),
    );
    if (master === undefined) return;
    master.evaluator.term = Math.max(...this.nodes.map((node) => node.evaluator.term)) + 1;
    master.evaluator.committed = null;
  }

  #crash(node: Node): void {
    // What was being written may have reached the disk, or not.
    if (node.pendingPersist !== null && this.#happens(0.5)) this.#write(node, node.pendingPersist);
    node.pendingPersist = null;
    node.process += 1;
    node.register = createRegister(node.id, node.disk, configFrom(node.disk.text));
  }

  #crashEvaluator(node: Node): void {
    node.evaluator.ballots.clear();
    node.evaluator.committed = null;
  }

  /** Everything that a node repeats by the clock. */
  #speak(node: Node): void {
    const { evaluator, process } = node;
    const message = quorumMessage({
      stampUs: this.nowUs,
      node: node.id,
      term: evaluator.term,
      role: evaluator.master ? "master" : "slave",
      leader: evaluator.follows,
      stored: evaluator.stored,
      committed: evaluator.committed,
    });
    this.#send(`quorum ${node.id}`, () => {
      if (node.process === process) this.#input(node, { kind: "quorum", nowUs: this.nowUs, message });
    });
    const ballot = {
      term: evaluator.term,
      follows: evaluator.follows,
      master: evaluator.master,
      stored: evaluator.stored,
      committed: evaluator.committed,
    };
    for (const peer of this.nodes) {
      if (peer === node) continue;
      this.#send(`ballot ${node.id} to ${peer.id}`, () => {
        this.#hearBallot(peer, node.id, ballot);
        const known = peer.register.hints.filter((hint) => hint.node !== node.id);
        const peers = [...known, { node: node.id, ref: ballot.stored }].map((hint) => ({
          node: hint.node,
          state: "joined" as const,
          sinceUs: 0,
          lastHeardUs: null,
          bootId: null,
          incarnation: null,
          config: hint.ref,
          links: [],
          reason: { code: "TEST", message: "test" },
        }));
        this.#input(peer, {
          kind: "peers",
          nowUs: this.nowUs,
          message: {
            stampUs: this.nowUs,
            node: peer.id,
            bootId: "0123456789abcdef",
            incarnation: 1,
            patience: 1,
            peers,
          },
        });
      });
    }
  }

  #hearBallot(
    node: Node,
    from: NodeId,
    ballot: {
      term: number;
      follows: NodeId | null;
      master: boolean;
      stored: ConfigRef;
      committed: ConfigRef | null;
    },
  ): void {
    const { evaluator } = node;
    // A lifted term of the master that is followed already, or the word of a master that won.
    if (ballot.master && ballot.term > evaluator.term) {
      Object.assign(evaluator, { term: ballot.term, follows: from, master: false, committed: null });
      evaluator.ballots.clear();
    }
    const known = evaluator.ballots.get(from);
    if (
      known === undefined ||
      known.term < ballot.term ||
      compareConfigRefs(known.stored, ballot.stored) <= 0
    ) {
      evaluator.ballots.set(from, ballot);
    }
    if (!evaluator.master) {
      const isTold = ballot.master && ballot.term === evaluator.term && evaluator.follows === from;
      if (isTold && ballot.committed !== null) evaluator.committed = ballot.committed;
      return;
    }
    const votes = [...evaluator.ballots].filter(
      ([, other]) =>
        other.term === evaluator.term && other.follows === node.id && sameRef(other.stored, evaluator.stored),
    );
    if (evaluator.stored.term === evaluator.term && votes.length + 1 > this.nodes.length / 2) {
      evaluator.committed = evaluator.stored;
      this.#checkCommit(evaluator.stored);
    }
  }

  /** The evaluator persists what its distributor says, if it came from the master it follows. */
  #takeStored(node: Node, document: StoredDocument): void {
    const { evaluator } = node;
    const { ref, from } = document;
    if (ref.term !== evaluator.term || from !== evaluator.follows) return;
    if (compareConfigRefs(ref, evaluator.stored) > 0) evaluator.stored = ref;
  }

  #propose(node: Node): void {
    const id = this.#nextProposal++;
    const base = node.register.stored;
    const nodes = configFrom(base.text).nodes.map((entry) => ({
      ...entry,
      prio: 1 + Math.floor(this.#random() * 5),
    }));
    const text = documentText(base.ref.version, nodes, `proposal ${id}`);
    this.#input(node, {
      kind: "propose",
      nowUs: this.nowUs,
      id,
      base: base.ref,
      text,
      reason: { code: "OPERATOR", message: "test" },
      forwarded: false,
    });
  }

  #input(node: Node, input: RegisterInput): void {
    const { state, effects } = stepRegister(node.register, input, modelTools);
    node.register = state;
    for (const effect of effects) this.#perform(node, effect);
  }

  #perform(node: Node, effect: RegisterEffect): void {
    const { process } = node;
    switch (effect.kind) {
      case "persist":
        if (node.pendingPersist !== null) throw new Error("two documents are written at once");
        node.pendingPersist = effect.document;
        this.#recordMade(node, effect.document);
        return;
      case "announce":
        this.#send(`stored ${node.id}`, () => this.#takeStored(node, effect.document));
        return;
      case "fetch":
        this.#send(`get ${node.id} from ${effect.from}`, () => {
          const source = this.nodes.find((candidate) => candidate.id === effect.from);
          const answer = source?.register.stored;
          if (answer === undefined || compareConfigRefs(answer.ref, effect.ref) < 0) return;
          this.#send(`got ${node.id}`, () => {
            if (node.process !== process) return;
            const { ref, text, reason } = answer;
            this.#input(node, {
              kind: "fetched",
              nowUs: this.nowUs,
              attempt: effect.attempt,
              ref,
              text,
              reason,
            });
          });
        });
        return;
      case "forward":
        this.#send(`propose ${effect.id} to ${effect.to}`, () => {
          const target = this.nodes.find((candidate) => candidate.id === effect.to);
          const { base, text, reason } = effect.proposal;
          if (target !== undefined) {
            this.#input(target, {
              kind: "propose",
              nowUs: this.nowUs,
              id: effect.id,
              base,
              text,
              reason,
              forwarded: true,
            });
          }
        });
        return;
      case "answer":
        this.#recordAnswer(effect.id, effect.result);
        return;
      case "event":
        return;
    }
  }

  #finishPersist(node: Node): void {
    const document = node.pendingPersist;
    if (document === null) return;
    node.pendingPersist = null;
    const { ref } = document;
    if (this.#happens(this.#faults.diskFailure)) {
      const surelyAbsent = this.#happens(0.5);
      if (!surelyAbsent && this.#happens(0.5)) this.#write(node, document);
      const reason = { code: "DISK_FULL", message: "full" };
      this.#input(node, { kind: "persist-failed", nowUs: this.nowUs, ref, surelyAbsent, reason });
      return;
    }
    this.#write(node, document);
    this.#input(node, { kind: "persisted", nowUs: this.nowUs, ref });
  }

  #send(what: string, deliver: () => void): void {
    if (this.#happens(this.#faults.loss)) return;
    this.#mail.push({ what, deliver });
    // A request crosses the bus at most once; everything else may come twice.
    const isRepeatable = !what.startsWith("propose");
    if (isRepeatable && this.#happens(this.#faults.loss / 4)) this.#mail.push({ what, deliver });
    if (this.#mail.length > 60) this.#mail.shift();
  }

  #deliverOne(): void {
    if (this.#mail.length === 0) return;
    const index = this.#faults.loss > 0 ? Math.floor(this.#random() * this.#mail.length) : 0;
    const [mail] = this.#mail.splice(index, 1);
    mail?.deliver();
  }

  /** One content per (term, version), on all disks, for ever. */
  #write(node: Node, document: StoredDocument): void {
    const { ref } = document;
    const place = `${ref.term}/${ref.version}`;
    const known = this.#contents.get(place);
    if (known !== undefined && known !== ref.digest) throw new Error(`two contents of ${place}`);
    this.#contents.set(place, ref.digest);
    node.disk = document;
  }

  #recordMade(node: Node, document: StoredDocument): void {
    const { ref } = document;
    if (document.from !== node.id || ref.digest === node.register.stored.ref.digest) return;
    const parents = this.#parents.get(ref.digest) ?? new Set<string>();
    parents.add(node.register.stored.ref.digest);
    this.#parents.set(ref.digest, parents);
    const proposal = /^note proposal (\d+)$/m.exec(document.text)?.[1];
    if (proposal !== undefined && document.reason.code === "OPERATOR") {
      this.#madeFrom.set(Number(proposal), ref.digest);
    }
  }

  #recordAnswer(id: number, result: ProposalResult): void {
    if (this.answers.has(id)) throw new Error(`proposal ${id} is answered twice`);
    this.answers.set(id, result);
    if (result.ok && !this.committedEver.some((ref) => ref.digest === result.ref.digest)) {
      throw new Error(`proposal ${id} was called committed before it was`);
    }
    this.#checkRefusals();
  }

  /** What was answered "not made" must never turn up as committed. */
  #checkRefusals(): void {
    for (const [id, result] of this.answers) {
      if (result.ok || result.code === "REQUEST_TIMEOUT") continue;
      const digest = this.#madeFrom.get(id);
      if (digest !== undefined && this.committedEver.some((ref) => ref.digest === digest)) {
        throw new Error(`proposal ${id} was refused (${result.code}) and is committed`);
      }
    }
  }

  #isAncestor(ancestor: string, descendant: string): boolean {
    const seen = new Set<string>();
    const open = [descendant];
    for (let digest = open.pop(); digest !== undefined; digest = open.pop()) {
      if (digest === ancestor) return true;
      if (seen.has(digest)) continue;
      seen.add(digest);
      open.push(...(this.#parents.get(digest) ?? []));
    }
    return false;
  }

  /** INV-5: of any two committed contents the older is an ancestor of the newer, and versions rise. */
  #checkCommit(ref: ConfigRef): void {
    for (const other of this.committedEver) {
      const [older, newer] = compareConfigRefs(other, ref) <= 0 ? [other, ref] : [ref, other];
      if (older.version > newer.version) throw new Error("a committed version went back");
      if (!this.#isAncestor(older.digest, newer.digest)) {
        throw new Error(`committed ${older.term}/${older.version} is not in ${newer.term}/${newer.version}`);
      }
    }
    if (!this.committedEver.some((known) => sameRef(known, ref))) this.committedEver.push(ref);
    this.#checkRefusals();
  }

  #happens(probability: number): boolean {
    return probability > 0 && this.#random() < probability;
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
