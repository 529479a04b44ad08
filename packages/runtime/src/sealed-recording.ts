import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { QUORATE_VERSION } from "./version.ts";

/** The form of a recording's lines. A recording of another one is refused. */
export const RECORDING_FORMAT = 1;

export interface RecordingOrigin {
  cluster: string;
  recordedAt: string;
  /** Who did not answer, and why. */
  missing: { node: number; service: string; why: string }[];
}

/** The bytes of a recording's file: a header, what the services wrote (whole lines), and a digest of all of it. */
export function sealRecording(origin: RecordingOrigin, services: readonly string[]): Uint8Array {
  const first = { kind: "recording", format: RECORDING_FORMAT, version: QUORATE_VERSION, ...origin };
  const body = `${JSON.stringify(first)}\n${services.join("")}`;
  const sha256 = createHash("sha256").update(body).digest("hex");
  const seal = { kind: "seal", lines: body.split("\n").length - 1, sha256 };
  return gzipSync(`${body}${JSON.stringify(seal)}\n`, { level: 1 });
}
