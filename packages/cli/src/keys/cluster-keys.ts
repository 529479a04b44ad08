import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type ClusterConfig, QuorateError } from "@quorate/contracts";
import { KEY_FILES, readRoutePassword, writeFileDurablySync } from "@quorate/runtime";
import { createClusterCertificate } from "./certificate.ts";

/** corosync-keygen writes 256 bytes; corosync takes 128 to 4096. */
const AUTHKEY_BYTES = 256;
const AUTHKEY_MINIMUM_BYTES = 128;
const AUTHKEY_MAXIMUM_BYTES = 4096;

/** Makes what is not there yet, touches nothing that is. Answers the names of the files it made. */
export function createClusterKeys(keysDir: string, config: ClusterConfig): string[] {
  const made: string[] = [];
  mkdirSync(keysDir, { recursive: true, mode: 0o700 });
  const write = (name: string, content: string | Uint8Array, mode: number) => {
    writeFileDurablySync(join(keysDir, name), content, { mode });
    made.push(name);
  };
  const missing = (name: string) => !existsSync(join(keysDir, name));

  if (missing(KEY_FILES.authkey)) write(KEY_FILES.authkey, randomBytes(AUTHKEY_BYTES), 0o400);
  if (missing(KEY_FILES.routePassword)) {
    write(KEY_FILES.routePassword, `${randomBytes(32).toString("base64url")}\n`, 0o600);
  }
  const certificateFiles = [KEY_FILES.ca, KEY_FILES.certificate, KEY_FILES.key];
  const missingFiles = certificateFiles.filter(missing);
  if (missingFiles.length > 0) {
    if (missingFiles.length < certificateFiles.length) {
      throw new QuorateError(
        "KEY_INVALID",
        `${keysDir} holds only a part of the cluster certificate: ${missingFiles.join(", ")} missing.`,
        "Copy the whole folder from another node; or, with no other node, remove the certificate's files " +
          "and run `quorate init` again.",
      );
    }
    const names = config.nodes.flatMap((node) => [
      ...node.addresses,
      ...(node.name === undefined ? [] : [node.name]),
    ]);
    const certificate = createClusterCertificate(config.clusterName, names);
    write(KEY_FILES.key, certificate.keyPem, 0o600);
    write(KEY_FILES.ca, certificate.caPem, 0o644);
    write(KEY_FILES.certificate, certificate.certificatePem, 0o644);
  }
  return made;
}

/** Throws QuorateError KEY_INVALID or KEY_MODE with the remedy when a key cannot be used as it is. */
export function checkClusterKeys(keysDir: string): void {
  for (const name of Object.values(KEY_FILES).sort()) {
    const path = join(keysDir, name);
    let mode: number;
    let size: number;
    try {
      ({ mode, size } = statSync(path));
      readFileSync(path);
    } catch (error) {
      throw new QuorateError(
        "KEY_INVALID",
        `Cannot read ${path}: ${(error as Error).message}.`,
        "Make the keys once with `quorate init --keys-dir DIR`, then copy the whole folder to every node.",
        { cause: error },
      );
    }
    const isSecret = name !== KEY_FILES.ca && name !== KEY_FILES.certificate;
    if (isSecret && (mode & 0o077) !== 0) {
      throw new QuorateError(
        "KEY_MODE",
        `${path} has mode ${(mode & 0o777).toString(8).padStart(4, "0")}: others can read or change it.`,
        `chmod go= ${path}; if others may have read it, make new keys on all nodes.`,
      );
    }
    if (name === KEY_FILES.authkey && (size < AUTHKEY_MINIMUM_BYTES || size > AUTHKEY_MAXIMUM_BYTES)) {
      throw new QuorateError(
        "KEY_INVALID",
        `${path} has ${size} bytes; a key has ${AUTHKEY_MINIMUM_BYTES} to ${AUTHKEY_MAXIMUM_BYTES}.`,
        "Copy the key of another node, or make one with corosync-keygen.",
      );
    }
  }
  readRoutePassword(keysDir);
}
