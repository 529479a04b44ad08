/** One sample: a converged cluster, the fault, the cluster converged again, and what was seen from outside. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchLab } from "../bench/bench-lab.ts";
import type { MachineBench } from "../bench/machine-bench.ts";
import type { Converged } from "../converged.ts";
import { hostDir } from "../host.ts";
import type { Lab } from "../lab.ts";
import type { ChaosSample, Fault } from "./fault.ts";
import { giveGuest, watchGuests } from "./guests.ts";
import { Injection } from "./injection.ts";
import { valuesOf } from "./judge.ts";
import { replayAll, replayValues } from "./recordings.ts";
import { askWhy } from "./why.ts";

const CONVERGED_LIMIT_MS = 120_000;

export type Surroundings = {
  bench: BenchLab;
  /** The same lab's guests; null without any. */
  machines: MachineBench | null;
  /** Where the recordings of all nodes go; null when none are wanted. */
  recordings: string | null;
};

/** Takes one sample. A cluster that does not converge afterwards is a sample too: `after` is null. */
export async function takeSample(
  { bench, machines, recordings }: Surroundings,
  fault: Fault,
  round: number,
): Promise<ChaosSample> {
  if (machines !== null) await giveGuest(machines, chosenNode(fault, await unshaken(bench), round));
  const guests = machines === null ? null : await watchGuests(machines, (await unshaken(bench)).master);
  const before = await unshaken(bench);
  const injection = new Injection(bench, chosenNode(fault, before, round), before, round);
  const window = bench.observer.observe();
  await fault.inject(injection);
  const settled = await settle(bench, injection.toMs + fault.watchMs);
  const report = bench.finish(window);
  const values = valuesOf(fault.excuse, {
    report,
    struck: injection.node,
    before,
    after: settled?.state ?? null,
    endedMs: injection.toMs,
    convergedMs: settled?.sinceMs ?? null,
  });
  const ofGuests = (await guests?.finish(settled?.state.master ?? null, injection.toMs)) ?? {};
  const cause = await askWhy(bench, fault, injection);
  const replay = recordings === null ? null : await replayAll(bench, recordings);
  const all = { ...values, ...injection.values, ...replayValues(replay), ...ofGuests };
  return {
    ...bench.sample(`node-${injection.node}`, all),
    injected: {
      fault: fault.name,
      node: fault.struck === "all" ? null : injection.node,
      fromMs: injection.fromMs,
      toMs: injection.toMs,
      details: injection.details,
    },
    before,
    after: settled?.state ?? null,
    holders: report.holders,
    cause,
    replay,
  };
}

/** Ten probes. */
const ANSWER_LIMIT_MS = 50;

/**
 * Waits until the cluster is converged and its master answers right now. On a machine that stands still for a second
 * what the nodes said may be over when it is read: a lease that lapsed before the fault would be counted as its work.
 */
async function unshaken(bench: BenchLab): Promise<Converged> {
  const endMs = Date.now() + CONVERGED_LIMIT_MS;
  while (Date.now() < endMs) {
    const state = await bench.converged(endMs - Date.now());
    if (state === null) break;
    const answer = await bench.observer.waitFor(({ host }) => host === state.master, ANSWER_LIMIT_MS);
    if (answer !== null) return state;
  }
  throw bench.stuck("the cluster does not converge before the fault");
}

/**
 * Five seconds without news divide one story from the next in the nodes' journals: what comes earlier after the
 * boot of a lab would be told as part of it.
 */
const STORY_MS = 5500;

/** Waits until the cluster of a new lab has been converged for as long as it takes to begin a new story. */
export async function calm(bench: BenchLab): Promise<void> {
  const first = await bench.converged(CONVERGED_LIMIT_MS);
  const settled = first === null ? null : await settle(bench, Date.now() + STORY_MS);
  if (settled === null) throw bench.stuck("the cluster of a new lab does not converge");
}

function chosenNode(fault: Fault, before: Converged, round: number): number {
  if (fault.struck !== "slave") return before.master;
  return before.slaves[round % before.slaves.length] ?? before.master;
}

type Settled = { state: Converged; sinceMs: number };

/**
 * Waits until the cluster is converged, and still or again is so at `notBeforeMs`. `sinceMs`: when the last
 * stretch of it began, as well as asking every few tenths of a second can tell.
 */
async function settle(bench: BenchLab, notBeforeMs: number): Promise<Settled | null> {
  const endMs = Date.now() + CONVERGED_LIMIT_MS;
  let since: Settled | null = null;
  while (Date.now() < endMs) {
    const state = await bench.converged(since === null ? endMs - Date.now() : 0);
    if (state === null) since = null;
    else if (since === null || since.state.term !== state.term || since.state.view !== state.view) {
      since = { state, sinceMs: Date.now() };
    }
    if (since !== null && Date.now() >= notBeforeMs) return since;
  }
  return null;
}

/** Keeps what a sample that missed something was made of, for whoever looks for the reason. */
export function keepEvidence(
  lab: Lab,
  sample: ChaosSample,
  folder: string,
  missed: readonly string[],
  recordings: string | null,
): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "sample.json"), `${JSON.stringify({ missed, ...sample }, null, 1)}\n`);
  const { replay } = sample;
  if (recordings !== null && replay !== null && replay.differences.length + replay.crashes.length > 0) {
    cpSync(recordings, join(folder, "recordings"), { recursive: true });
  }
  const record = lab.record();
  for (const host of record.hosts) {
    const from = hostDir(record, host.id);
    const state = host.init === null ? join(from, "state") : `/proc/${host.init.pid}/root/var/lib/quorate`;
    const sources = { "host.log": join(from, "log/host.log"), log: join(state, "log") };
    for (const [name, source] of Object.entries(sources)) {
      try {
        cpSync(source, join(folder, host.name, name), { recursive: true });
      } catch {
        // The host has written none, or is just being switched off.
      }
    }
  }
}
