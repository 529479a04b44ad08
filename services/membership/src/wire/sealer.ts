import { randomBytes } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { invariant, type NodeId } from "@quorate/contracts";
import type { Heartbeat } from "@quorate/core-membership";
import { deriveKey, sealContent } from "./cipher.ts";
import { clusterHashOf, DATAGRAM_BYTES_MAX, HEADER_BYTES, TAG_BYTES, writeEnvelope } from "./envelope.ts";
import { writeHeartbeat } from "./heartbeat-schema.ts";
import type { ClusterKey } from "./key-file.ts";

/**
 * Above this content is deflated, so that a datagram fits an Ethernet frame where possible: 1500 bytes less the
 * headers of IPv6, UDP and ours. Three nodes stay below; deflating costs more than all else in a heartbeat.
 */
const DEFLATE_ABOVE_BYTES = 1380;

const RINGS_MAX = 8;

/** Seals the heartbeats of one node in one incarnation; owns the counters, so that no nonce comes twice. */
export class Sealer {
  readonly incarnation: number;
  readonly #node: NodeId;
  readonly #clusterHash: Buffer;
  readonly #keyId: number;
  readonly #key: Buffer;
  readonly #session: bigint;
  readonly #counters: number[] = new Array<number>(RINGS_MAX).fill(0);

  constructor(options: {
    clusterName: string;
    key: ClusterKey;
    node: NodeId;
    incarnation: number;
    session?: bigint;
  }) {
    const { node, incarnation } = options;
    this.#node = node;
    this.incarnation = incarnation;
    this.#session = options.session ?? randomBytes(8).readBigUInt64BE(0);
    this.#clusterHash = clusterHashOf(options.clusterName);
    this.#keyId = options.key.id;
    this.#key = deriveKey(options.key.bytes, this.#clusterHash, {
      node,
      incarnation,
      session: this.#session,
    });
  }

  /** The same content for each of the rings, under a counter of its own; null when it is too large to send. */
  seal(heartbeat: Heartbeat, rings: readonly number[]): Map<number, Buffer> | null {
    invariant(heartbeat.incarnation === this.incarnation, "the heartbeat is of the sealed incarnation");
    const plain = writeHeartbeat(heartbeat);
    const deflated = plain.length > DEFLATE_ABOVE_BYTES;
    const content = deflated ? deflateRawSync(plain) : plain;
    if (content.length > DATAGRAM_BYTES_MAX - HEADER_BYTES - TAG_BYTES) return null;
    const datagrams = new Map<number, Buffer>();
    for (const ring of rings) {
      const counter = (this.#counters[ring] ?? 0) + 1;
      this.#counters[ring] = counter;
      const header = writeEnvelope(
        {
          ring,
          deflated,
          keyId: this.#keyId,
          node: this.#node,
          incarnation: this.incarnation,
          session: this.#session,
          counter,
        },
        this.#clusterHash,
      );
      datagrams.set(ring, sealContent(this.#key, ring, counter, header, content));
    }
    return datagrams;
  }
}
