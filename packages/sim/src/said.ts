import { type Ballot, compareViews, type NodeId, type View } from "@quorate/contracts";

/** By its own clock, what a life of an evaluator said that it had heard of a peer. */
type Heard = { life: number; bootId: string; atUs: number; receivedAtUs: number; retired: string[] };

type Said = { term: number; follows: NodeId | null; view: View; out: boolean };

/**
 * What each node has said aloud, to see whether it stands by it (INV-6): a vote, an adoption and a removal that were
 * told to others must not be forgotten by a later life of the process that told them.
 */
export class SaidAloud {
  private readonly newest = new Map<NodeId, Said>();
  private readonly heard = new Map<string, Heard>();

  /** What of the ballot goes back on what the node said before, in words; null when nothing does. */
  note(node: NodeId, ballot: Ballot): string | null {
    const { term, follows, view, out } = ballot;
    const before = this.newest.get(node);
    // A node that says that it forgot is believed: it has no vote until it is re-admitted.
    if (ballot.amnesic) {
      this.newest.delete(node);
      return null;
    }
    this.newest.set(node, { term, follows, view, out });
    if (before === undefined) return null;
    if (term < before.term) return `said term ${before.term} and then term ${term}`;
    // Whom it follows may change within a term: from one that did not win to the one that did.
    if (term === before.term && before.follows !== null && follows === null)
      return `promised itself to node ${before.follows} in term ${term} and has forgotten it`;
    const order = compareViews(view, before.view);
    if (order < 0) return `had adopted view ${nameOf(before.view)} and then view ${nameOf(view)}`;
    if (order === 0 && before.out && !out) return `was out of view ${nameOf(view)} and has forgotten it`;
    return null;
  }

  /** A ballot that is counted as heard twice, or after a newer one, in words: promises would run on recordings. */
  noteEchoes(node: NodeId, life: number, { name, echoes }: Ballot): string | null {
    for (const { node: peer, received } of echoes) {
      if (received === null) continue;
      const { bootId, atUs } = received;
      const receivedAtUs = name.atUs - received.ageUs;
      const key = `${node} ${peer}`;
      const before = this.heard.get(key);
      if (before === undefined || before.life !== life) {
        this.heard.set(key, { life, bootId, atUs, receivedAtUs, retired: [] });
        continue;
      }
      const isSame = before.bootId === bootId;
      if (before.retired.includes(bootId)) return `hears a boot of node ${peer} that is over`;
      if (isSame && atUs < before.atUs) return `hears an older ballot of node ${peer} after a newer one`;
      if (isSame && atUs === before.atUs && receivedAtUs > before.receivedAtUs + SAME_INSTANT_US)
        return `hears a ballot of node ${peer} for the second time`;
      if (!isSame) before.retired.push(before.bootId);
      before.bootId = bootId;
      before.atUs = atUs;
      before.receivedAtUs = receivedAtUs;
    }
    return null;
  }
}

/** Instants are named in whole microseconds, and a name may be one later than the clock. */
const SAME_INSTANT_US = 100;

function nameOf({ term, number }: View): string {
  return `${term}.${number}`;
}
