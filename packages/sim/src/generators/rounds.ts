import type { NodeId } from "@quorate/contracts";
import type { Random } from "../random.ts";
import { type FaultAction, type FaultKind, type Noise, QUIET } from "../schedule.ts";
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
  private readonly actions: FaultAction[];
  private readonly fromUs: number;
  private readonly tokenUs: number;

  constructor(input: GeneratorInput, number: number, fromUs: number, actions: FaultAction[]) {
    this.number = number;
    this.random = input.random;
    this.ids = input.cluster.nodes.map((node) => node.id);
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
  play(round: Round): void;
}): Generator {
  return {
    name: story.name,
    about: story.about,
    weight: 1,
    generate(input) {
      const actions: FaultAction[] = [];
      const { tokenUs, faultUs } = input;
      let number = 0;
      const lastUs = faultUs - story.tokens * tokenUs;
      for (let fromUs = SETTLE_TOKENS * tokenUs; fromUs <= lastUs; fromUs += story.tokens * tokenUs) {
        number += 1;
        story.play(new Round(input, number, fromUs, actions));
      }
      actions.sort((left, right) => left.atUs - right.atUs);
      return { noise: story.noise ?? QUIET, actions };
    },
  };
}
