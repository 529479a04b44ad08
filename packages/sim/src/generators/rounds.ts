import type { NodeId } from "@quorate/contracts";
import type { Random } from "../random.ts";
import { type FaultAction, type FaultKind, type NodeRef, type Noise, QUIET } from "../schedule.ts";
import type { Generator, GeneratorInput } from "./generator.ts";

/** Long enough after the start for a first master and its first commit. */
const SETTLE_TOKENS = 4;

/** What a round is made with. Instants and durations are in tokens, counted from the start of the round. */
export class Round {
  readonly number: number;
  readonly random: Random;
  readonly ids: readonly NodeId[];
  /** Whoever is master when the round first speaks of it, whatever it is later. */
  readonly master: `master:${string}`;
  private readonly leaders: readonly NodeId[];
  private readonly actions: FaultAction[];
  private readonly fromUs: number;
  private readonly tokenUs: number;

  constructor(input: GeneratorInput, number: number, fromUs: number, actions: FaultAction[]) {
    this.number = number;
    this.random = input.random;
    this.ids = input.cluster.nodes.map((node) => node.id);
    this.leaders = input.cluster.nodes.flatMap(({ id, prio }) => (prio > 0 ? id : []));
    this.master = `master:r${number}`;
    this.fromUs = fromUs;
    this.tokenUs = input.tokenUs;
    this.actions = actions;
  }

  /** An instant or duration between two numbers of tokens, in tokens. */
  between(low: number, high: number): number {
    return low + this.random.next() * (high - low);
  }

  us(tokens: number): number {
    return Math.round(tokens * this.tokenUs);
  }

  tokensOf(us: number): number {
    return us / this.tokenUs;
  }

  at(tokens: number, fault: FaultKind): void {
    this.actions.push({ ...fault, atUs: this.fromUs + this.us(tokens) });
  }

  /** The nodes in a random order. */
  shuffled(): NodeId[] {
    const left = [...this.ids];
    const order: NodeId[] = [];
    while (left.length > 0) order.push(...left.splice(Math.floor(this.random.next() * left.length), 1));
    return order;
  }

  /** What the story comes to. Said of three nodes only: with more, others than those it names may take part. */
  expect(tokens: number, holder: NodeRef, members: NodeRef[] = []): void {
    if (this.ids.length === 3) this.at(tokens, { kind: "expect", holder, members });
  }

  /** Whether it may be master at all. */
  canLead(node: NodeId): boolean {
    return this.leaders.includes(node);
  }

  /** Hands the mastership to a node drawn at random; all of the story after that knows who is who. */
  seat(): { master: NodeId; others: [NodeId, NodeId, ...NodeId[]] } {
    const order = this.shuffled();
    const master = order.find((node) => this.canLead(node));
    const [one, two, ...rest] = order.filter((node) => node !== master);
    if (master === undefined || one === undefined || two === undefined) throw new Error("too few nodes");
    this.at(0, { kind: "move", target: master });
    return { master, others: [one, two, ...rest] };
  }

  /** A node, and a minority of the others: what one master can lose and still be one. */
  minority(): { rest: NodeId[]; few: NodeId[] } {
    const order = this.shuffled();
    const count = Math.floor((order.length - 1) / 2);
    return { few: order.slice(0, count), rest: order.slice(count) };
  }
}

/**
 * A generator that plays one narrow story again and again, each time with other instants and nodes, and lets the
 * cluster come to rest in between: what must meet within milliseconds meets in some of them.
 */
export function inRounds(story: {
  name: string;
  about: string;
  /** How long a round is, the rest included. */
  tokens: number;
  noise?: Noise;
  /** Virtual machines, when it is about them. Such stories are drawn only by name. */
  machines?: number;
  /** Only once, so that what it leaves behind is what liveness is judged by. */
  once?: true;
  play(round: Round): void;
}): Generator {
  return {
    name: story.name,
    about: story.about,
    weight: story.machines === undefined ? 1 : 0,
    generate(input) {
      const actions: FaultAction[] = [];
      const { tokenUs, faultUs } = input;
      let number = 0;
      const lastUs = faultUs - story.tokens * tokenUs;
      const firstUs = Math.max(SETTLE_TOKENS * tokenUs, story.once === true ? lastUs : 0);
      for (let fromUs = firstUs; fromUs <= lastUs; fromUs += story.tokens * tokenUs) {
        number += 1;
        story.play(new Round(input, number, fromUs, actions));
      }
      actions.sort((left, right) => left.atUs - right.atUs);
      const { noise = QUIET, machines } = story;
      return machines === undefined ? { noise, actions } : { noise, machines, actions };
    },
  };
}
