import { compareConfigRefs, type NodeId, quorumOf } from "@quorate/contracts";
import { configOf } from "./documents.ts";
import type { Host } from "./host.ts";
import type { World } from "./world.ts";

const LOOK_EVERY_US = 20_000;
/** Processes that were dead at the end of the faults are back by then. */
export const RESTART_US = 300_000;

/**
 * Liveness, from outside: once the faults are over one node holds the address within 3 T (a vote may split, and what
 * was rebooted is silent for a token first), and everything that crosses the bus follows within 3 s more.
 */
export class Settling {
  holderAfterUs: number | null = null;
  settledAfterUs: number | null = null;
  private readonly world: World;
  /** When nobody, or more than one, was seen to hold it last after somebody did. */
  private gapSinceUs: number | null = null;

  constructor(world: World) {
    this.world = world;
  }

  begin(): void {
    this.look();
  }

  /** At the end of the run. */
  judge(): void {
    const { world } = this;
    if (!hasMajority(world, null)) return;
    const missing = this.missing();
    // Who came and went often is kept out for up to 64 tokens: told, not held against anybody.
    for (const { up, disk } of world.hosts.values())
      if (up && disk.evaluator?.out === true) world.checker.noteHole("still in quarantine at the end");
    if (missing.length > 0) world.checker.violate("LIVENESS", missing.join("; "));
    const limitUs = this.holderLimitUs;
    if (this.holderAfterUs !== null && this.holderAfterUs > limitUs)
      world.checker.violate(
        "LIVENESS",
        `one node held the address ${ms(this.holderAfterUs)} ms after the faults, the bound is ${ms(limitUs)} ms`,
      );
  }

  get holderLimitUs(): number {
    return 3 * this.world.tokenUs + RESTART_US;
  }

  private look(): void {
    const { world } = this;
    const afterUs = world.nowUs - world.faultsEndUs;
    const isHeld = this.holders().length === 1;
    if (isHeld) {
      // An operator's wish that waited may move it once more: a hand-over's short gap is no outage.
      const gapUs = this.gapSinceUs === null ? 0 : world.nowUs - this.gapSinceUs;
      if (this.holderAfterUs === null || gapUs > world.tokenUs / 2) this.holderAfterUs = afterUs;
      this.gapSinceUs = null;
    } else this.gapSinceUs ??= world.nowUs;
    if (this.missing().length === 0) this.settledAfterUs ??= afterUs;
    else this.settledAfterUs = null;
    world.at(world.nowUs + LOOK_EVERY_US, () => this.look());
  }

  private holders(): Host[] {
    return [...this.world.hosts.values()].filter((host) => host.answers);
  }

  /** What is not as it should be, in words. */
  private missing(): string[] {
    const missing: string[] = [];
    const holders = this.holders();
    if (holders.length !== 1) missing.push(`${holders.length} nodes hold the address`);
    for (const host of holders) {
      if (host.kernel.service !== "running")
        missing.push(`the service is ${host.kernel.service} on node ${host.id}`);
      const marker = host.run.files.get("marker");
      const term = host.disk.evaluator?.term ?? 0;
      if (marker?.kind !== "ours" || marker.term !== term)
        missing.push(`the marker on node ${host.id} is not of its term ${term}`);
    }
    missing.push(...(this.world.vmChecker?.missing() ?? []));
    const newest = this.newest();
    for (const { id } of configOf(newest.text).nodes) {
      const host = this.world.hosts.get(id);
      if (host === undefined || !host.up) continue;
      const { document, evaluator } = host.disk;
      if (compareConfigRefs(document.ref, newest.ref) !== 0)
        missing.push(`node ${id} runs on version ${document.ref.version} of term ${document.ref.term}`);
      if (evaluator === null || evaluator.amnesic) missing.push(`node ${id} has no vote`);
    }
    return missing;
  }

  private newest() {
    return [...this.world.hosts.values()]
      .map((host) => host.disk.document)
      .reduce((newest, document) => (compareConfigRefs(document.ref, newest.ref) > 0 ? document : newest));
  }
}

/**
 * Whether those that still have their state could elect somebody, `without` apart: in the newest configuration and in
 * every one that some node counts as well.
 */
export function hasMajority(world: World, without: NodeId | null): boolean {
  const remembers = (id: NodeId) => {
    const host = world.hosts.get(id);
    const state = host?.disk.evaluator ?? null;
    return id !== without && host?.up === true && state !== null && !state.amnesic;
  };
  const electorates = [...world.hosts.values()].flatMap(({ disk }) =>
    disk.evaluator === null || disk.evaluator.amnesic
      ? []
      : [disk.evaluator.voters, ...disk.evaluator.jointWith],
  );
  return electorates.every((voters) => {
    let votes = 0;
    for (const node of voters.nodes) if (remembers(node.id)) votes += node.votes;
    return votes >= quorumOf(voters.totalVotes);
  });
}

function ms(us: number): number {
  return Math.round(us / 1000);
}
