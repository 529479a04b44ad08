import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GrantMessage } from "@quorate/contracts";
import { createFailoverState, type FailoverConfig, step } from "@quorate/core-failover";
import { createLogger } from "@quorate/runtime";
import { expect, it } from "vitest";
import { ClosedFile } from "../src/closed-file.ts";

const logger = createLogger({ service: "test", node: 2, level: "silent" });

it("whatever is cut off or flipped in the file, it is the close or none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-closed-"));
  try {
    const file = new ClosedFile(folder);
    expect(file.read(logger)).toBeNull();
    await file.write({ term: 12, generation: 3 });
    expect(file.read(logger)).toEqual({ term: 12, generation: 3 });
    const good = readFileSync(file.path);
    for (let length = 0; length < good.length; length++) {
      writeFileSync(file.path, good.subarray(0, length));
      expect(file.read(logger)).toBeNull();
    }
    for (let bit = 0; bit < good.length * 8; bit++) {
      const flipped = Buffer.from(good);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      writeFileSync(file.path, flipped);
      expect(file.read(logger)).toBeNull();
      expect(file.read(logger)).toBeNull();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const CONFIG: FailoverConfig = {
  nodeId: 2,
  tokenUs: 1_000_000,
  clusterIps: [{ address: "10.0.0.100", family: 4, device: "vmbr0", prefixLength: 24 }],
  ports: [],
  service: null,
  disarmed: false,
};

function grantBuiltAt(stampUs: number): GrantMessage {
  return {
    stampUs,
    term: 12,
    generation: 3,
    role: "master",
    masterLeaseEndUs: stampUs + 900_000,
    nodeLeaseEndUs: stampUs + 900_000,
    close: false,
    view: { term: 12, number: 1 },
    disarmed: false,
    reason: { code: "TEST", message: "As the test says." },
  };
}

it("none opens nothing: every grant that was built before this start is void", () => {
  const startedAtUs = 50_000_000;
  for (const ageUs of [1, 1000, 150_000]) {
    const state = createFailoverState(CONFIG, startedAtUs, null);
    const nowUs = startedAtUs + 500;
    const grant = grantBuiltAt(startedAtUs - ageUs);
    const { state: after, steps } = step(state, { kind: "grant", grant }, nowUs);
    expect(after.grant).toBeNull();
    expect(steps.map((issued) => issued.step.kind)).not.toContain("renew-gate");
    expect(after.counters["grants_dropped_old"]).toBe(1);
  }
});
