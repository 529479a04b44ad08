import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ClusterConfig } from "@quorate/contracts";
import { hostsResolver } from "./addresses.ts";
import { type ReadConfig, type ReadResult, readClusterConfig, refusalError } from "./meaning.ts";
import { encodeText } from "./text-encoding.ts";

/**
 * How a document is named and read on a host, in one place: two services that disagree about a digest or about
 * the address of a name never commit anything. The text is always one from `decodeText`.
 */
export const HOSTS_FILE = "/etc/hosts";

/** SHA-256, hex, of the bytes of the file: what tells two documents apart in the whole cluster. */
export function documentDigest(text: string): string {
  return createHash("sha256").update(encodeText(text)).digest("hex");
}

/**
 * `readClusterConfig` with the names of this host's own table: DNS may be down when we are needed. Without that
 * file only addresses work, and the refusal says which name was not found. Never throws.
 */
export function readHostConfig(text: string, fileName: string, hostsFile = HOSTS_FILE): ReadResult {
  return readClusterConfig(text, fileName, { resolveName: hostsResolver(hostsText(hostsFile)) });
}

/** The same for who cannot go on without it. Throws QuorateError CONFIG_SYNTAX or CONFIG_INVALID. */
export function hostConfig(text: string, fileName: string, hostsFile = HOSTS_FILE): ClusterConfig {
  const read = readHostConfig(text, fileName, hostsFile);
  if (!read.ok) throw refusalError(read);
  return read.config;
}

/** A document as another service sent it; null when it is not the one that `ref` names, or cannot be read. */
export function readSentDocument(
  sent: { readonly ref: { readonly digest: string }; readonly text: string },
  fileName: string,
  hostsFile = HOSTS_FILE,
): ReadConfig | null {
  if (documentDigest(sent.text) !== sent.ref.digest) return null;
  const read = readHostConfig(sent.text, fileName, hostsFile);
  return read.ok ? read : null;
}

function hostsText(hostsFile: string): string {
  try {
    return readFileSync(hostsFile, "utf8");
  } catch {
    return "";
  }
}
