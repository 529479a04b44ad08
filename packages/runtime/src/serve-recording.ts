import { QuorateError } from "@quorate/contracts";
import type { Bus } from "./bus.ts";

/** The services that have a core. */
export const RECORDED_SERVICES = [
  "membership",
  "quorum-evaluator",
  "failover-actuator",
  "config-distributor",
] as const;
export type RecordedService = (typeof RECORDED_SERVICES)[number];

/** Far below what the bus carries in one message. */
const PART_BYTES = 512 * 1024;
const KEPT_MS = 60_000;

/** Answers `recording`: makes one when asked, hands it out in parts, forgets it after a minute. One at a time. */
export function serveRecording(bus: Bus, service: RecordedService, make: () => Promise<Uint8Array>): void {
  let counter = 0;
  let kept: { dump: number; data: Promise<Uint8Array> } | null = null;
  const begin = () => {
    counter += 1;
    const made = { dump: counter, data: make() };
    kept = made;
    setTimeout(() => {
      if (kept === made) kept = null;
    }, KEPT_MS).unref();
    return made;
  };
  bus.serve(service, "recording", async ({ dump, part }) => {
    const asked = dump === null ? begin() : kept;
    if (asked === null || (dump !== null && asked.dump !== dump)) throw forgotten();
    const data = await asked.data;
    const parts = Math.max(1, Math.ceil(data.length / PART_BYTES));
    const piece = Buffer.from(data).subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
    return { dump: asked.dump, parts, data: piece.toString("base64") };
  });
}

function forgotten(): QuorateError {
  return new QuorateError("RECORDING_INVALID", "That recording is not kept any more.", "Ask for a new one.");
}
