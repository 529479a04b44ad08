import type { GrantMessage } from "@quorate/contracts";
import { staleUsOf } from "@quorate/contracts";
import type { Host } from "./host.ts";

/**
 * The gates of virtual machines as far as a node lease decides them: what one grant opens the kernel shuts by
 * itself when the lease ends, whatever our processes do. The place of VMs in the simulator: an adapter for their
 * placement takes grants, orders and views here and tells the checker of every start (`noteVmStart`).
 */
export class NodeGates {
  /** The host's own clock. */
  openUntilUs = Number.NEGATIVE_INFINITY;
  private newest: { term: number; generation: number; stampUs: number } | null = null;
  private readonly host: Host;

  constructor(host: Host) {
    this.host = host;
  }

  get open(): boolean {
    return this.host.up && this.host.localUs() < this.openUntilUs;
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
    this.openUntilUs = grant.nodeLeaseEndUs;
    host.world.checker.noteNodeGate(host);
  }
}
