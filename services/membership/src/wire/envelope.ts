import { createHash } from "node:crypto";
import type { Envelope } from "@quorate/core-membership";

/*
 * A datagram, network byte order:
 *    0  4  "QRTE"
 *    4  1  protocol version
 *    5  1  ring
 *    6  1  flags: 1 = the content is deflated
 *    7  1  zero
 *    8  8  SHA-256 of the cluster's name, its first 8 bytes
 *   16  4  key id
 *   20  4  node
 *   24  8  incarnation (at most 48 bits of it are used)
 *   32  8  session: random, per process and incarnation
 *   40  8  counter: per incarnation and ring, from 1
 *   48  …  content, AES-256-GCM; its 16 byte tag last
 * The 48 bytes of the header are authenticated with the content.
 */
export const PROTOCOL_VERSION = 2;
export const HEADER_BYTES = 48;
export const TAG_BYTES = 16;
/** Larger ones are dropped before anything is spent on them; 64 nodes with full ballots need about 6 kB. */
export const DATAGRAM_BYTES_MAX = 16 * 1024;
export const FLAG_DEFLATED = 1;

const MAGIC = Buffer.from("QRTE", "latin1");

export interface WireEnvelope extends Envelope {
  readonly deflated: boolean;
  readonly keyId: number;
  readonly session: bigint;
}

export function clusterHashOf(clusterName: string): Buffer {
  return createHash("sha256").update("quorate cluster\0").update(clusterName).digest().subarray(0, 8);
}

export function writeEnvelope(envelope: WireEnvelope, clusterHash: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header, 0);
  header.writeUInt8(PROTOCOL_VERSION, 4);
  header.writeUInt8(envelope.ring, 5);
  header.writeUInt8(envelope.deflated ? FLAG_DEFLATED : 0, 6);
  clusterHash.copy(header, 8);
  header.writeUInt32BE(envelope.keyId, 16);
  header.writeUInt32BE(envelope.node, 20);
  header.writeBigUInt64BE(BigInt(envelope.incarnation), 24);
  header.writeBigUInt64BE(envelope.session, 32);
  header.writeBigUInt64BE(BigInt(envelope.counter), 40);
  return header;
}

/** Why the clear part of a datagram cannot be read; each is a counter. */
export type EnvelopeRefusal =
  | "refused_oversized"
  | "refused_truncated"
  | "refused_no_heartbeat"
  | "refused_version"
  | "refused_foreign_cluster";

/** Costs next to nothing: for everybody may send us datagrams. */
export function readEnvelope(datagram: Buffer, clusterHash: Buffer): WireEnvelope | EnvelopeRefusal {
  if (datagram.length > DATAGRAM_BYTES_MAX) return "refused_oversized";
  if (datagram.length < HEADER_BYTES + TAG_BYTES) return "refused_truncated";
  if (datagram.compare(MAGIC, 0, 4, 0, 4) !== 0) return "refused_no_heartbeat";
  if (datagram.readUInt8(4) !== PROTOCOL_VERSION) return "refused_version";
  if (datagram.compare(clusterHash, 0, 8, 8, 16) !== 0) return "refused_foreign_cluster";
  const flags = datagram.readUInt8(6);
  const incarnation = Number(datagram.readBigUInt64BE(24));
  const counter = Number(datagram.readBigUInt64BE(40));
  if (flags > FLAG_DEFLATED || datagram.readUInt8(7) !== 0) return "refused_version";
  if (!Number.isSafeInteger(incarnation) || !Number.isSafeInteger(counter)) return "refused_no_heartbeat";
  return {
    ring: datagram.readUInt8(5),
    deflated: flags === FLAG_DEFLATED,
    keyId: datagram.readUInt32BE(16),
    node: datagram.readUInt32BE(20),
    incarnation,
    session: datagram.readBigUInt64BE(32),
    counter,
  };
}
