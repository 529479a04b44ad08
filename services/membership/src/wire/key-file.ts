import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { QuorateError } from "@quorate/contracts";

/** corosync-keygen writes 128 bytes (corosync 2) or 256 (corosync 3); its library takes up to 4096. */
export const KEY_BYTES_MIN = 128;
export const KEY_BYTES_MAX = 4096;

export interface ClusterKey {
  readonly bytes: Buffer;
  /** Tells keys apart on the wire; says nothing about the key. */
  readonly id: number;
}

export function clusterKeyOf(bytes: Buffer): ClusterKey {
  const digest = createHash("sha256").update("quorate key id\0").update(bytes).digest();
  return { bytes, id: digest.readUInt32BE(0) };
}

/**
 * Reads the cluster key, which has corosync's authkey form: random bytes, nothing else.
 * Throws QuorateError KEY_INVALID (missing, unreadable, wrong size) or KEY_MODE (others may read it).
 */
export function readClusterKey(path: string): ClusterKey {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw new QuorateError(
      "KEY_INVALID",
      `The cluster key ${path} cannot be read: ${(error as Error).message}.`,
      `Copy the key from another node of the cluster to ${path} (mode 0600), or write a new one with \`quorate init\`.`,
      { cause: error },
    );
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw wrongSize(path, "it is no plain file");
    if ((status.mode & 0o077) !== 0) {
      throw new QuorateError(
        "KEY_MODE",
        `The cluster key ${path} has mode ${(status.mode & 0o777).toString(8).padStart(4, "0")}: others can read it.`,
        `chmod 0600 ${path}; if somebody may have read it, give all nodes a new key.`,
      );
    }
    if (status.size < KEY_BYTES_MIN || status.size > KEY_BYTES_MAX) {
      throw wrongSize(path, `it has ${status.size} bytes`);
    }
    const bytes = Buffer.alloc(status.size);
    if (readSync(file, bytes, 0, status.size, 0) !== status.size) throw wrongSize(path, "it was cut short");
    if (bytes.every((byte) => byte === bytes[0])) throw wrongSize(path, "all its bytes are the same");
    return clusterKeyOf(bytes);
  } finally {
    closeSync(file);
  }
}

function wrongSize(path: string, what: string): QuorateError {
  return new QuorateError(
    "KEY_INVALID",
    `The cluster key ${path} is no key: ${what}; it must have ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} random bytes.`,
    "Copy the key from another node of the cluster, or write a new one with `quorate init` and copy it to all.",
  );
}
