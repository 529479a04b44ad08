import type { Campaign } from "./campaign.ts";
import type { RunResult } from "./options.ts";

const MEGA = 1_000_000;
const TRACE_LINES = 120;

/** The campaign for people: what was done, and what broke. */
export function campaignText(campaign: Campaign): string {
  const { seconds } = campaign;
  const perSecond = seconds > 0 ? campaign.seeds / seconds : 0;
  const hours = campaign.simulatedUs / MEGA / 3600;
  const lines = [
    `${campaign.seeds} seeds from ${campaign.from} in ${seconds.toFixed(1)} s: ${perSecond.toFixed(2)} seeds per second, ` +
      `${hours.toFixed(2)} simulated hours, ${campaign.elections} elections`,
    `generators: ${counted(campaign.generators)}`,
    `faults: ${counted(campaign.faults)}; ${campaign.skipped} had nothing to strike`,
    `known holes that opened: ${counted(campaign.holes) || "none"}`,
    `after the faults the address was back within ${ms(campaign.slowestHolderUs)} ms, everything within ${ms(campaign.slowestSettledUs)} ms`,
    `violations: ${campaign.failed.length === 0 ? "none" : campaign.failed.map((run) => `seed ${run.seed} ${run.violations[0]?.invariant ?? ""}`).join(", ")}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** One line for programs. */
export function campaignJson(campaign: Campaign): unknown {
  const { failed, seconds, simulatedUs, ...rest } = campaign;
  return {
    ...rest,
    seconds: Math.round(seconds * 1000) / 1000,
    seedsPerSecond: seconds > 0 ? Math.round((campaign.seeds / seconds) * 100) / 100 : 0,
    simulatedHours: Math.round((simulatedUs / MEGA / 3600) * 1000) / 1000,
    violations: failed.length,
    failed: failed.map((run) => ({
      seed: run.seed,
      generator: run.generator,
      violations: run.violations.map(({ invariant, atUs, message }) => ({ invariant, atUs, message })),
    })),
  };
}

/** A run for people: its cluster, its schedule, its story, and how it ended. */
export function runText(run: RunResult, everyLine: boolean): string {
  const { cluster, schedule } = run;
  const nodes = cluster.nodes.map((node) => `${node.id} (prio ${node.prio}, votes ${node.votes})`).join(", ");
  const story = everyLine ? run.trace : run.trace.slice(-TRACE_LINES);
  const left = run.trace.length - story.length;
  return [
    `seed ${run.seed}, generator ${run.generator}: nodes ${nodes}; ${cluster.rings} ring(s), ${cluster.transport}, token ${cluster.tokenMs} ms`,
    `noise ${JSON.stringify(schedule.noise)}`,
    `schedule, ${schedule.actions.length} actions:`,
    ...schedule.actions.map(({ atUs, kind, ...rest }) => `  ${at(atUs)} ${kind} ${JSON.stringify(rest)}`),
    left > 0 ? `story, ${left} lines before left out:` : "story:",
    ...story.map((line) => `  ${line}`),
    ...run.violations.flatMap((violation) => [
      `${violation.invariant} at ${at(violation.atUs)}: ${violation.message}`,
      ...violation.world.map((line) => `  ${line}`),
    ]),
    `${run.violations.length === 0 ? "no violation" : "VIOLATED"}; ${run.events} events, digest ${run.digest}`,
    "",
  ].join("\n");
}

function counted(counts: Record<string, number>): string {
  return Object.keys(counts)
    .sort()
    .map((key) => `${key} ${counts[key] ?? 0}`)
    .join(", ");
}

function at(us: number): string {
  return (us / MEGA).toFixed(6);
}

function ms(us: number): number {
  return Math.round(us / 1000);
}
