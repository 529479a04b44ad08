import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Lab, Observer, VIP } from "../src/index.ts";
import { waitUntil } from "../src/processes.ts";
import { REACH_KINDS } from "../src/tally.ts";
import { idlePlan, sweepAbandonedTestLabs, testLabName } from "./stand-in-plan.ts";

const NAME = testLabName("observer");
const ADD = `ip address add ${VIP}/24 dev vmbr0`;
const REMOVE = `ip address delete ${VIP}/24 dev vmbr0`;
const ANNOUNCE = `arping -q -U -c 1 -I vmbr0 -s ${VIP} ${VIP}`;

let lab: Lab;
let observer: Observer;

beforeAll(sweepAbandonedTestLabs);

beforeEach(async () => {
  lab = await Lab.up(
    NAME,
    idlePlan(NAME, ["sh", "-c", `exec node ${import.meta.dirname}/../assets/service.mjs`]),
  );
  observer = await Observer.start(lab);
  await run(2, `${ADD}; ${ANNOUNCE}`);
  const answer = await observer.waitFor((seen) => seen.kind === "http", 30_000);
  if (answer?.host !== 2 || answer.vip !== VIP) throw new Error("host 2 does not serve");
});

afterEach(async () => {
  await observer.stop();
  await Lab.down(NAME);
});

async function run(id: number, script: string): Promise<void> {
  const result = await lab.exec(id, ["sh", "-c", script]);
  if (result.code !== 0) throw new Error(result.stderr);
}

/** The planted figure, give or take the probes' distance, the shell's own time and what the observer admits. */
function expectNear(actualMs: number, plantedMs: number, latenessMs: number): void {
  expect(actualMs).toBeGreaterThanOrEqual(plantedMs - 7 - latenessMs);
  expect(actualMs).toBeLessThanOrEqual(plantedMs + 60 + latenessMs);
}

describe("the observer", () => {
  it("sees one holder that never falls silent as just that", async () => {
    const window = observer.observe();
    await observer.waitFor((answer) => answer.atMs > window.report().fromMs + 1000, 10_000);
    const report = window.report();
    expect(report.dualMs).toBe(0);
    for (const kind of ["icmp", "tcp", "arp"] as const) {
      expect(report.silence[kind].longestMs).toBeLessThan(50 + report.latenessMs);
      expect(report.silence[kind].answers).toBeGreaterThan(150);
    }
    expect(new Set(report.holders.map((holder) => holder.host))).toEqual(new Set([2]));
    expect(observer.failure).toBeNull();
  });

  it("measures a planted gap on every kind of probe", async () => {
    const window = observer.observe();
    await run(2, `${REMOVE}; sleep 0.3; ${ADD}`);
    const isOver = () => {
      const { silence } = window.report();
      return REACH_KINDS.every((kind) => silence[kind].longestMs > 200 && !silence[kind].open);
    };
    expect(await waitUntil(isOver, 5000)).toBe(true);
    const report = window.report();
    for (const kind of ["icmp", "arp"] as const) {
      expectNear(report.silence[kind].longestMs, 300, report.latenessMs);
    }
    expect(report.silence.tcp.longestMs).toBeGreaterThan(290);
    expect(report.silence.http.longestMs).toBeGreaterThan(290);
    expect(report.dualMs).toBe(0);
  });

  it("says of a silence that lasts that it lasts, with nobody left to answer", async () => {
    const window = observer.observe();
    await run(2, REMOVE);
    const lasts = () => REACH_KINDS.every((kind) => window.report().silence[kind].longestMs > 400);
    expect(await waitUntil(lasts, 5000)).toBe(true);
    for (const kind of REACH_KINDS) expect(window.report().silence[kind].open).toBe(true);
  });

  it("counts a planted second holder in milliseconds and says who", async () => {
    const window = observer.observe();
    await run(4, `${ADD}; sleep 0.08; ${REMOVE}`);
    await observer.waitFor((answer) => answer.host === 2 && answer.kind === "arp-reply", 5000);
    const report = window.report();
    expectNear(report.dualMs, 80, report.latenessMs);
    expect(report.overlaps.length).toBeGreaterThan(0);
    for (const overlap of report.overlaps) expect(new Set(overlap.hosts)).toEqual(new Set([2, 4]));
  });

  it("sees a second holder that answers nobody's question but its own port's: cut off in a silent partition", async () => {
    const window = observer.observe();
    await lab.partition([2]);
    await run(8, `${ADD}; ${ANNOUNCE}; sleep 0.1`);
    const report = window.report();
    expect(report.dualMs).toBeGreaterThan(80);
    expect(report.overlaps.some((overlap) => overlap.hosts.includes(8) && overlap.hosts.includes(2))).toBe(
      true,
    );
  });

  it("sees the kernel of a frozen host answer on", async () => {
    await lab.freeze(2);
    const window = observer.observe();
    const first = window.report().fromMs;
    await observer.waitFor((answer) => answer.kind === "icmp-reply" && answer.atMs > first + 300, 5000);
    const report = window.report();
    expect(report.silence.icmp.longestMs).toBeLessThan(100 + report.latenessMs);
    expect(report.silence.http).toMatchObject({ open: true });
    await lab.thaw(2);
  });

  it("measures a power cut and a takeover, and goes on with the host's next boot", async () => {
    const window = observer.observe();
    const diedAtMs = await lab.kill(2);
    await run(4, `sleep 0.2; ${ADD}; ${ANNOUNCE}`);
    const taken = await observer.waitFor((answer) => answer.kind === "icmp-reply" && answer.host === 4, 5000);
    const report = window.report();
    expect(report.dualMs).toBe(0);
    expect(report.silence.icmp.fromMs).toBeLessThan(diedAtMs + 5);
    expect(taken?.atMs).toBeGreaterThan(diedAtMs + 200);
    expect(report.silence.icmp.longestMs).toBeGreaterThan(195);
    await run(4, REMOVE);
    await lab.start(2);
    await run(2, `${ADD}; ${ANNOUNCE}`);
    expect(await observer.waitFor((answer) => answer.host === 2, 5000)).not.toBeNull();
  });
});
