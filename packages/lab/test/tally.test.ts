import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Tally } from "../src/tally.ts";

const VIP = "172.31.223.100";

function tally(): Tally {
  return new Tally({ fromMs: 0, holdMs: 20 });
}

describe("silence", () => {
  it("is the longest stretch between two answers, the window's edges included", () => {
    const meter = tally();
    for (const atMs of [100, 105, 110, 1300, 1305]) meter.reached("icmp", atMs);
    expect(meter.report(1310).silence.icmp).toEqual({
      longestMs: 1190,
      fromMs: 110,
      toMs: 1300,
      totalMs: 1290,
      open: false,
      answers: 5,
    });
  });

  it("in all counts stretches of 100 ms and more, the one at the end too", () => {
    const meter = tally();
    for (const atMs of [50, 149, 249, 348, 600]) meter.reached("icmp", atMs);
    expect(meter.report(650).silence.icmp.totalMs).toBe(100 + 252);
    expect(meter.report(700).silence.icmp.totalMs).toBe(100 + 252 + 100);
  });

  it("that still lasts at the end is open", () => {
    const meter = tally();
    meter.reached("http", 10);
    expect(meter.report(500).silence.http).toMatchObject({ longestMs: 490, fromMs: 10, open: true });
    expect(meter.report(500).silence.arp).toMatchObject({ longestMs: 500, open: true, answers: 0 });
  });

  it("is never shorter than any distance of neighbours", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 50 }), (times) => {
        const meter = tally();
        const sorted = times.toSorted((left, right) => left - right);
        for (const atMs of sorted) meter.reached("tcp", atMs);
        const edges = [0, ...sorted, 10_000];
        const distances = edges.slice(1).map((atMs, index) => atMs - (edges[index] ?? 0));
        expect(meter.report(10_000).silence.tcp.longestMs).toBe(Math.max(...distances));
      }),
    );
  });
});

describe("two holders", () => {
  const answers = (meter: Tally, host: number, fromMs: number, toMs: number, everyMs = 5) => {
    for (let atMs = fromMs; atMs <= toMs; atMs += everyMs) meter.spoke(host, VIP, atMs);
  };

  it("a clean hand-over, last answer before first, is none", () => {
    const meter = tally();
    answers(meter, 2, 0, 100);
    answers(meter, 4, 101, 200);
    expect(meter.report(200).dualMs).toBe(0);
  });

  it("one answer between two of the other counts a millisecond", () => {
    const meter = tally();
    answers(meter, 2, 0, 100);
    meter.spoke(4, VIP, 52);
    const report = meter.report(100);
    expect(report.dualMs).toBe(1);
    expect(report.overlaps).toEqual([{ vip: VIP, hosts: [2, 4], fromMs: 52, toMs: 52 }]);
  });

  it("counts the whole time of an overlap, and each overlap", () => {
    const meter = tally();
    answers(meter, 2, 0, 1000);
    answers(meter, 4, 202, 242);
    answers(meter, 8, 600, 650);
    expect(meter.report(1000).dualMs).toBe(90);
  });

  it("a holder that fell silent for longer than a run allows holds nothing meanwhile", () => {
    const meter = tally();
    answers(meter, 2, 0, 100);
    answers(meter, 4, 110, 130);
    answers(meter, 2, 140, 200);
    expect(meter.report(200).dualMs).toBe(0);
  });

  it("of different addresses are two masters of nothing in common", () => {
    const meter = tally();
    answers(meter, 2, 0, 100);
    for (let atMs = 0; atMs <= 100; atMs += 5) meter.spoke(4, "172.31.223.101", atMs);
    expect(meter.report(100).dualMs).toBe(0);
  });

  it("are found whatever the order in which their frames come, and never where one ended before the other began", () => {
    fc.assert(
      fc.property(
        fc.record({
          end: fc.integer({ min: 50, max: 400 }),
          begin: fc.integer({ min: 50, max: 400 }),
          phase: fc.integer({ min: 0, max: 4 }),
        }),
        ({ end, begin, phase }) => {
          const frames: { host: number; atMs: number }[] = [];
          for (let atMs = 0; atMs <= end; atMs += 5) frames.push({ host: 2, atMs });
          for (let atMs = begin + phase; atMs <= 500; atMs += 5) frames.push({ host: 4, atMs });
          const meter = tally();
          for (const frame of frames.toSorted((left, right) => left.atMs - right.atMs)) {
            meter.spoke(frame.host, VIP, frame.atMs);
          }
          const lastOf2 = end - (end % 5);
          const overlap = lastOf2 - (begin + phase);
          expect(meter.report(500).dualMs).toBe(overlap > 0 ? overlap : 0);
        },
      ),
    );
  });
});
