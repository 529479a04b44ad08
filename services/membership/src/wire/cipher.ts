import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import type { NodeId } from "@quorate/contracts";
import { TAG_BYTES } from "./envelope.ts";

const CIPHER = "aes-256-gcm";

/**
 * The key of one sender in one incarnation. The session, random in every process, keeps keys (and with them
 * nonces) apart even if an incarnation were ever used twice: on a restored disk, or one that took no write.
 */
export function deriveKey(
  clusterKey: Buffer,
  clusterHash: Buffer,
  who: { node: NodeId; incarnation: number; session: bigint },
): Buffer {
  const info = `quorate heartbeat 1 node ${who.node} incarnation ${who.incarnation} session ${who.session}`;
  return Buffer.from(hkdfSync("sha256", clusterKey, clusterHash, info, 32));
}

/** Unique per key: the counter never repeats on a ring. */
function nonceOf(ring: number, counter: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(ring, 0);
  nonce.writeBigUInt64BE(BigInt(counter), 4);
  return nonce;
}

export function sealContent(
  key: Buffer,
  ring: number,
  counter: number,
  header: Buffer,
  content: Buffer,
): Buffer {
  const cipher = createCipheriv(CIPHER, key, nonceOf(ring, counter), { authTagLength: TAG_BYTES });
  cipher.setAAD(header);
  const sealed = cipher.update(content);
  cipher.final();
  return Buffer.concat([header, sealed, cipher.getAuthTag()]);
}

/** Null when it was not sealed with this key, or anything was changed on the way. */
export function openContent(
  key: Buffer,
  ring: number,
  counter: number,
  header: Buffer,
  sealed: Buffer,
): Buffer | null {
  const decipher = createDecipheriv(CIPHER, key, nonceOf(ring, counter), { authTagLength: TAG_BYTES });
  decipher.setAAD(header);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const content = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
  try {
    decipher.final();
    return content;
  } catch {
    return null;
  }
}
