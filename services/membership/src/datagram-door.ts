import type { NodeId } from "@quorate/contracts";
import type { Envelope, Heartbeat, MembershipState } from "@quorate/core-membership";
import { judgeEnvelope } from "@quorate/core-membership";
import { Opener, type Refusal } from "./wire/opener.ts";
import type { ClusterKey } from "./wire/key-file.ts";

export interface DatagramDoorOptions {
  readonly clusterName: string;
  readonly key: ClusterKey;
  /** The present state, for what the envelope already forbids. */
  readonly state: () => MembershipState;
  onHeartbeat(envelope: Envelope, heartbeat: Heartbeat, receivedAtUs: number): void;
  /** At most one call per node and second; for the reasons given for a peer that is not heard. */
  onRefusedPeer(node: NodeId, refusal: Refusal): void;
}

/** Refusals that say something about the node they claim to be of; a replay or a late one does not. */
const TELLING: ReadonlySet<Refusal> = new Set([
  "refused_foreign_key",
  "refused_unauthentic",
  "refused_content",
]);

const HINT_EVERY_US = 1_000_000;

/** Counts what is refused and hands on what is believed. Nothing that comes in can throw. */
export class DatagramDoor {
  readonly #options: DatagramDoorOptions;
  readonly #opener: Opener;
  readonly #refusals = new Map<Refusal, number>();
  readonly #hinted = new Map<NodeId, number>();
  #received = 0;
  #refused = 0;

  constructor(options: DatagramDoorOptions) {
    this.#options = options;
    this.#opener = new Opener(options);
  }

  /** All that ever came in. */
  get received(): number {
    return this.#received;
  }

  get refused(): number {
    return this.#refused;
  }

  /** By refusal, and all datagrams received. */
  get counters(): Record<string, number> {
    return { datagrams_received: this.#received, ...Object.fromEntries(this.#refusals) };
  }

  take(datagram: Buffer, ring: number, receivedAtUs: number): void {
    this.#received += 1;
    const opened = this.#opener.open(datagram, ring, (envelope) =>
      judgeEnvelope(this.#options.state(), envelope),
    );
    if (opened.ok) {
      this.#options.onHeartbeat(opened.envelope, opened.heartbeat, receivedAtUs);
      return;
    }
    this.#refused += 1;
    this.#refusals.set(opened.refusal, (this.#refusals.get(opened.refusal) ?? 0) + 1);
    if (opened.node === null || !TELLING.has(opened.refusal)) return;
    const lastUs = this.#hinted.get(opened.node);
    if (lastUs !== undefined && receivedAtUs - lastUs < HINT_EVERY_US) return;
    // Bounded: `judgeEnvelope` has refused every node that is not in the node list.
    this.#hinted.set(opened.node, receivedAtUs);
    this.#options.onRefusedPeer(opened.node, opened.refusal);
  }

  /** Forgets nodes that left the node list. */
  retain(nodes: ReadonlySet<NodeId>): void {
    this.#opener.retain(nodes);
    for (const node of this.#hinted.keys()) if (!nodes.has(node)) this.#hinted.delete(node);
  }
}
