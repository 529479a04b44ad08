import type { GrantMessage } from "@quorate/contracts";
import { staleUsOf } from "@quorate/contracts";
import type { Host } from "./host.ts";

/**
 * The gates of virtual machines as far as a node lease decides them: what one grant opens the kernel shuts by
 * itself when the lease ends, whatever our processes do. Machines themselves are in vm-actor.ts and vm-kernel.ts.
 */
export class NodeGates {
  /** The host's own clock. */
  openUntilUs = Number.NEGATIVE_INFINITY;
  /** The longest lease that was ever given to this boot: what is under way may open until then. */
  grantedUntilUs = Number.NEGATIVE_INFINITY;
  /** Since when, in real time, the lease runs without a break, and which term the evaluator had then. */
  openedAtUs = Number.NEGATIVE_INFINITY;
  openedInTerm = 0;
  private newest: { term: number; generation: number; stampUs: number } | null = null;
  private readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  get open(): boolean {
    const { host } = this;
    // A kernel that stands still lets nothing through.
    return host.up && host.nowUs() >= host.suspendedUntilUs && host.localUs() < this.openUntilUs;
  }

  /** A new life of the actuator: the names of grants are remembered by a process, what is open by the kernel. */
  forgetNames(): void {
    this.newest = null;
  }

  /** The actuator takes a grant: too old ones, replayed ones and those of an earlier name open nothing. */
  onGrant(grant: GrantMessage): void {
    const { host, newest } = this;
    const nowUs = host.localUs();
    if (nowUs - grant.stampUs > staleUsOf(host.world.tokenUs)) return;
    if (newest !== null) {
      const order = grant.term - newest.term || grant.generation - newest.generation;
      if (order < 0 || (order === 0 && grant.stampUs < newest.stampUs)) return;
    }
    this.newest = grant;
    if (grant.nodeLeaseEndUs <= nowUs) {
      this.openUntilUs = Number.NEGATIVE_INFINITY;
      return;
    }
    if (nowUs >= this.openUntilUs) {
      this.openedAtUs = host.nowUs();
      this.openedInTerm = grant.term;
    }
    this.openUntilUs = grant.nodeLeaseEndUs;
    this.grantedUntilUs = Math.max(this.grantedUntilUs, grant.nodeLeaseEndUs);
    host.world.checker.noteNodeGate(host);
  }
}
