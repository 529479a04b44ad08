import { compareConfigRefs, type NodeId } from "@quorate/contracts";
import { CLUSTER_IP } from "../documents.ts";
import type { World } from "../world.ts";

/** One thing that happened, as the log tells it. */
export type Entry = {
  atUs: number;
  /** A node, what was done to the cluster (`>>`), or the address. */
  who: NodeId | ">>" | "address" | "cluster";
  /** A reason's code; empty for what has none. */
  code: string;
  text: string;
};

const LOOK_US = 1000;
const SPOKEN = /^node (\d+) (\w+) ([\w-]+): (.*)$/s;
const ORDERED = /^node (\d+) operator (.*)$/;

/** Listens to a world and looks at it every millisecond: who says what, and who answers for the address. */
export class Story {
  readonly entries: Entry[] = [];
  /** Time within the story without anybody who answers, and the longest stretch of it. */
  silentUs = 0;
  longestSilenceUs = 0;
  private answered = "";
  private holder: NodeId | null = null;
  private silentSinceUs: number | null = null;
  private readonly world: () => World;
  private readonly beginUs: number;
  private readonly heard: (code: string, node: NodeId) => void;

  constructor(world: () => World, beginUs: number, heard: (code: string, node: NodeId) => void) {
    this.world = world;
    this.beginUs = beginUs;
    this.heard = heard;
  }

  /** One line of the world's own story. */
  listen(line: string): void {
    const order = ORDERED.exec(line);
    if (order !== null) {
      const [, node = "", text = ""] = order;
      const answer = text.slice(text.indexOf(": ") + 2);
      // Every node is asked for a move: the answers of those who are not master say nothing. And who is refused tries
      // again with the same words.
      const isNoise = answer === "NOT_MASTER" || answer === this.answered;
      this.answered = answer;
      if (!isNoise) this.add(Number(node), "answers the operator", answer);
      return;
    }
    const [, node, process, code = "", text = ""] = SPOKEN.exec(line) ?? [];
    if (node === undefined || process === undefined) return;
    this.add(Number(node), code, text);
    if (this.world().nowUs >= this.beginUs) this.heard(code, Number(node));
  }

  add(who: Entry["who"], code: string, text: string): void {
    const { nowUs } = this.world();
    if (nowUs >= this.beginUs) this.entries.push({ atUs: nowUs - this.beginUs, who, code, text });
  }

  /** From the beginning on, for as long as the world runs until `endUs`. */
  watchAddress(endUs: number): void {
    const world = this.world();
    world.at(this.beginUs, () => {
      this.holder = this.holderNow();
      this.add("cluster", "", this.greeting());
      this.look(endUs);
    });
  }

  /** At the end: what was still open is counted. */
  finish(): void {
    if (this.silentSinceUs !== null) this.count(this.world().nowUs - this.silentSinceUs);
    this.silentSinceUs = null;
  }

  private look(endUs: number): void {
    const world = this.world();
    const holder = this.holderNow();
    if (holder !== this.holder) this.changed(holder);
    this.holder = holder;
    if (world.nowUs + LOOK_US < endUs) world.at(world.nowUs + LOOK_US, () => this.look(endUs));
  }

  private changed(holder: NodeId | null): void {
    const { nowUs } = this.world();
    const { address } = CLUSTER_IP;
    if (holder === null) {
      this.silentSinceUs = nowUs;
      this.add("address", "", `Nobody answers for ${address} any more; it was node ${this.holder}.`);
      return;
    }
    const silentUs = this.silentSinceUs === null ? 0 : nowUs - this.silentSinceUs;
    this.silentSinceUs = null;
    this.count(silentUs);
    const after = silentUs > 0 ? `, after ${seconds(silentUs)} s without an answer` : "";
    this.add("address", "", `Node ${holder} answers for ${address}${after}.`);
  }

  private count(silentUs: number): void {
    this.silentUs += silentUs;
    this.longestSilenceUs = Math.max(this.longestSilenceUs, silentUs);
  }

  private holderNow(): NodeId | null {
    return [...this.world().hosts.values()].find((host) => host.answers)?.id ?? null;
  }

  private greeting(): string {
    const who = this.holder === null ? "Nobody answers" : `Node ${this.holder} answers`;
    return `${who} for ${CLUSTER_IP.address}. ${stateOf(this.world())}`;
  }
}

/** Term, view and configuration, from the disks of those who are up and have them newest. */
export function stateOf(world: World): string {
  const states = [...world.hosts.values()].flatMap((host) =>
    host.up && host.disk.evaluator !== null ? [{ id: host.id, ...host.disk.evaluator }] : [],
  );
  const newest = states.reduce<(typeof states)[number] | null>(
    (best, state) =>
      best === null ||
      state.view.term > best.view.term ||
      (state.view.term === best.view.term && state.view.number > best.view.number)
        ? state
        : best,
    null,
  );
  if (newest === null) return "No node is up.";
  const { view } = newest;
  const stored = states
    .map((state) => state.stored)
    .reduce((best, ref) => (compareConfigRefs(ref, best) > 0 ? ref : best));
  const members = view.members.map(({ node }) => node).join(" ");
  return `View ${view.term}.${view.number} has the members ${members}; version ${stored.version} of the configuration.`;
}

export function seconds(us: number): string {
  return (us / 1e6).toFixed(2);
}
