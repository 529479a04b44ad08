import { inflateRawSync } from "node:zlib";
import type { NodeId } from "@quorate/contracts";
import type { CounterName, Envelope, Heartbeat } from "@quorate/core-membership";
import { deriveKey, openContent } from "./cipher.ts";
import {
  clusterHashOf,
  type EnvelopeRefusal,
  HEADER_BYTES,
  readEnvelope,
  type WireEnvelope,
} from "./envelope.ts";
import { readHeartbeat } from "./heartbeat-schema.ts";
import type { ClusterKey } from "./key-file.ts";

/** What a deflated content may grow to; it is inflated only after it proved to come from a holder of the key. */
export const CONTENT_BYTES_MAX = 256 * 1024;

export type Refusal =
  | EnvelopeRefusal
  | CounterName
  | "refused_wrong_ring"
  | "refused_foreign_key"
  | "refused_unauthentic"
  | "refused_content";

export type Opened =
  | { readonly ok: true; readonly envelope: Envelope; readonly heartbeat: Heartbeat }
  /** `node` is who the datagram claims to be of, when that much could be read: nobody vouches for it. */
  | { readonly ok: false; readonly refusal: Refusal; readonly node: NodeId | null };

interface KnownKey {
  readonly incarnation: number;
  readonly session: bigint;
  readonly key: Buffer;
  /** The newest content and what it says: the same one comes over every ring and is read once. */
  readonly newest: { readonly content: Buffer; readonly heartbeat: Heartbeat } | null;
}

/**
 * The datagram door. Cheapest checks first; without the cluster key nothing beyond one key derivation and one
 * failed decryption can be caused, and nothing is remembered of a sender that did not prove itself.
 */
export class Opener {
  readonly #clusterName: string;
  readonly #clusterHash: Buffer;
  readonly #key: ClusterKey;
  readonly #known = new Map<NodeId, KnownKey>();

  constructor(options: { clusterName: string; key: ClusterKey }) {
    this.#clusterName = options.clusterName;
    this.#clusterHash = clusterHashOf(options.clusterName);
    this.#key = options.key;
  }

  /** `judge` says what the envelope already forbids (`judgeEnvelope` of the core); null lets it pass. */
  open(datagram: Buffer, ring: number, judge: (envelope: Envelope) => CounterName | null): Opened {
    const envelope = readEnvelope(datagram, this.#clusterHash);
    if (typeof envelope === "string") return { ok: false, refusal: envelope, node: null };
    const refuse = (refusal: Refusal): Opened => ({ ok: false, refusal, node: envelope.node });
    if (envelope.ring !== ring) return refuse("refused_wrong_ring");
    const forbidden = judge(envelope);
    if (forbidden !== null) return refuse(forbidden);
    if (envelope.keyId !== this.#key.id) return refuse("refused_foreign_key");
    const known = this.#keyOf(envelope);
    if (known === null) return refuse("refused_stale_incarnation");
    const content = openContent(
      known.key,
      ring,
      envelope.counter,
      datagram.subarray(0, HEADER_BYTES),
      datagram.subarray(HEADER_BYTES),
    );
    if (content === null) return refuse("refused_unauthentic");
    const same = known.newest !== null && known.newest.content.equals(content);
    const heartbeat = same ? known.newest.heartbeat : this.#read(content, envelope);
    if (heartbeat === null) return refuse("refused_content");
    this.#known.set(envelope.node, { ...known, newest: { content, heartbeat } });
    return { ok: true, envelope, heartbeat };
  }

  /** Forgets nodes that are no longer in the node list. */
  retain(nodes: ReadonlySet<NodeId>): void {
    for (const node of this.#known.keys()) if (!nodes.has(node)) this.#known.delete(node);
  }

  /** Null for a second session of one incarnation: only one of the two can be the node, and we know the first. */
  #keyOf(envelope: WireEnvelope): KnownKey | null {
    const { node, incarnation, session } = envelope;
    const known = this.#known.get(node);
    if (known !== undefined && known.incarnation === incarnation) {
      return known.session === session ? known : null;
    }
    const key = deriveKey(this.#key.bytes, this.#clusterHash, { node, incarnation, session });
    return { incarnation, session, key, newest: null };
  }

  #read(content: Buffer, envelope: WireEnvelope): Heartbeat | null {
    let plain = content;
    if (envelope.deflated) {
      try {
        plain = inflateRawSync(content, { maxOutputLength: CONTENT_BYTES_MAX });
      } catch {
        return null;
      }
    }
    const heartbeat = readHeartbeat(plain);
    if (heartbeat === null) return null;
    const consistent =
      heartbeat.cluster === this.#clusterName &&
      heartbeat.node === envelope.node &&
      heartbeat.incarnation === envelope.incarnation;
    return consistent ? heartbeat : null;
  }
}
