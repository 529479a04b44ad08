/**
 * The drill: a lab that serves, its master's host without power, the failover's timeline as it happens, the host
 * back. Figures are taken from outside (observer.ts); what the nodes say of themselves is only shown beside.
 */
import { createInterface } from "node:readline";
import { assertNever, EventEnvelopeSchema, QuorateError } from "@quorate/contracts";
import { killGroup } from "./command.ts";
import { type MachineFigures, MachinesDrill } from "./drill-machines.ts";
import type { Lab } from "./lab.ts";
import { commonVersion, readAllStatuses } from "./node-status.ts";
import { type Answer, Observer } from "./observer.ts";
import { waitUntil } from "./processes.ts";
import type { TallyReport } from "./tally.ts";

export type DrillResult = {
  token_ms: number;
  vip_gap_ms: number;
  service_gap_ms: number;
  dual_ms: number;
  old_master: number;
  new_master: number;
  config_version_before: number;
  config_version_after: number;
  all_nodes_on_new_config: boolean;
} & Partial<MachineFigures>;

export type DrillLimits = { serveMs: number; failoverMs: number; configurationMs: number; restoreMs: number };

/** Generous: they end a drill that hangs. Whether it was fast enough is read from the figures. */
export const DRILL_LIMITS: DrillLimits = {
  serveMs: 90_000,
  failoverMs: 30_000,
  configurationMs: 30_000,
  restoreMs: 60_000,
};

/** Runs the drill on a lab that is up. `say` gets one line of text at a time. */
export async function runDrill(
  lab: Lab,
  say: (line: string) => void,
  limits: DrillLimits = DRILL_LIMITS,
): Promise<DrillResult> {
  const observer = await Observer.start(lab);
  const ends: (() => void)[] = [];
  let machines: MachinesDrill | null = null;
  try {
    if (lab.record().guests > 0) machines = await MachinesDrill.start(lab);
    return await drill(lab, observer, machines, say, limits, ends);
  } finally {
    for (const end of ends) end();
    await machines?.stop();
    await observer.stop();
  }
}

async function drill(
  lab: Lab,
  observer: Observer,
  machines: MachinesDrill | null,
  say: (line: string) => void,
  limits: DrillLimits,
  ends: (() => void)[],
): Promise<DrillResult> {
  const record = lab.record();
  const ids = record.hosts.map((host) => host.id);
  const vip = record.vips.join(" and ");

  say(`Waiting until a master serves on ${vip} …`);
  const serving = await observer.waitFor((answer) => answer.kind === "http", limits.serveMs);
  if (serving === null) throw stuck("nobody serves", "the hosts' logs are below", observer);
  let oldMaster = serving.host;
  say(`node-${oldMaster} serves.`);
  const survivors = ids.filter((id) => id !== oldMaster);
  let shownFrom = Number.POSITIVE_INFINITY;
  const tell = (atMs: number, text: string) => {
    if (atMs >= shownFrom) say(`${`+${(atMs - shownFrom).toFixed(0)}`.padStart(7)} ms  ${text}`);
  };
  ends.push(followEvents(lab, survivors[0] ?? oldMaster, tell));

  const placed = await machines?.define(oldMaster, survivors);
  for (const { vm, node } of placed ?? []) say(`${vm} runs on node-${node} and answers.`);
  const versionBefore = await settle(lab, ids, limits.configurationMs, () => true);
  if (versionBefore === null) throw stuck("the nodes do not agree on a configuration", "see below", observer);
  oldMaster = observer.lastHttp?.host ?? oldMaster;
  say(`All nodes run on configuration ${versionBefore}. Now node-${oldMaster} loses its power.`);

  const lostGuests = machines?.watch(oldMaster, placed ?? [], tell);
  const window = observer.observe();
  const timeline = new Timeline(oldMaster, tell);
  ends.push(observer.onAnswer((answer) => timeline.take(answer)));
  const killing = lab.kill(oldMaster);
  const taken = observer.waitFor(
    (answer) => answer.kind === "http" && answer.host !== oldMaster,
    limits.failoverMs,
  );
  shownFrom = await killing;
  tell(shownFrom, `node-${oldMaster}: its port left the switch and every process died`);
  timeline.begin();
  lostGuests?.begin(shownFrom);
  const first = await taken;
  if (first === null) throw stuck("no other node took the service over", "see below", observer);
  const newMaster = first.host;
  await lostGuests?.answered();

  const living = ids.filter((id) => id !== oldMaster);
  const changed = await settle(lab, living, limits.configurationMs, (version) => version > versionBefore);
  if (changed !== null) tell(Date.now(), `configuration ${changed} is on all nodes that run`);
  say(`node-${oldMaster} gets its power back.`);
  await lab.start(oldMaster);
  const versionAfter = await settle(lab, ids, limits.restoreMs, (version) => version > versionBefore);
  if (versionAfter !== null)
    tell(Date.now(), `configuration ${versionAfter} is on all nodes, node-${oldMaster} too`);

  const report = window.report();
  if (observer.failure !== null) throw stuck("the observer failed", observer.failure, observer);
  say(summary(report, newMaster));
  return {
    token_ms: record.tokenMs,
    vip_gap_ms: Math.round(report.silence.icmp.longestMs),
    service_gap_ms: Math.round(report.silence.http.longestMs),
    dual_ms: report.dualMs,
    old_master: oldMaster,
    new_master: newMaster,
    config_version_before: versionBefore,
    config_version_after: versionAfter ?? changed ?? versionBefore,
    all_nodes_on_new_config: versionAfter !== null,
    ...lostGuests?.end(),
  };
}

/** True when the drill showed what it has to show: another node took over, alone, and all learnt it. */
export function drillSucceeded(result: DrillResult): boolean {
  const { dual_ms, new_master, old_master, all_nodes_on_new_config, double_starts = 0 } = result;
  return dual_ms === 0 && new_master !== old_master && all_nodes_on_new_config && double_starts === 0;
}

/** Asks the nodes until all of `ids` have one committed configuration that is `wanted`; null if they never do. */
async function settle(
  lab: Lab,
  ids: readonly number[],
  limitMs: number,
  wanted: (version: number) => boolean,
): Promise<number | null> {
  let version: number | null = null;
  await waitUntil(
    async () => {
      version = commonVersion(await readAllStatuses(lab), ids);
      return version !== null && wanted(version);
    },
    limitMs,
    250,
  );
  return version !== null && wanted(version) ? version : null;
}

/** The first of each kind of answer by which a client notices the new holder. */
class Timeline {
  readonly #oldMaster: number;
  readonly #tell: (atMs: number, text: string) => void;
  readonly #seen = new Set<string>();
  #waiting: Answer[] | null = [];

  constructor(oldMaster: number, tell: (atMs: number, text: string) => void) {
    this.#oldMaster = oldMaster;
    this.#tell = tell;
  }

  take(answer: Answer): void {
    if (answer.host === this.#oldMaster) return;
    const text = noteworthy(answer);
    const key = `${answer.host} ${text}`;
    if (text === null || this.#seen.has(key)) return;
    this.#seen.add(key);
    if (this.#waiting === null) this.#tell(answer.atMs, `node-${answer.host}: ${text}`);
    else this.#waiting.push(answer);
  }

  /** The moment of death is known from now on. */
  begin(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const answer of waiting) this.#tell(answer.atMs, `node-${answer.host}: ${noteworthy(answer)}`);
  }
}

function noteworthy(answer: Answer): string | null {
  switch (answer.kind) {
    case "arp-announcement":
      return `announces ${answer.vip}`;
    case "arp-reply":
      return `first ARP answer for ${answer.vip}`;
    case "icmp-reply":
      return "first ICMP answer";
    case "tcp-open":
      return "first TCP connection";
    case "http":
      return "first HTTP answer of the service";
    case "tcp-reset":
    case "other":
    case "tick":
      return null;
    default:
      return assertNever(answer.kind);
  }
}

/** Events of all nodes as one survivor hears them. They carry the nodes' wall clock, which all hosts here share. */
function followEvents(lab: Lab, id: number, tell: (atMs: number, text: string) => void): () => void {
  const child = lab.spawn(id, [...lab.record().quorate, "events", "--json"]);
  child.on("error", () => {});
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = parseEvent(line);
      if (event !== null) tell(event.atMs, event.text);
    });
  }
  return () => killGroup(child.pid);
}

function parseEvent(line: string): { atMs: number; text: string } | null {
  try {
    const event = EventEnvelopeSchema.parse(JSON.parse(line));
    return { atMs: Date.parse(event.time), text: `node-${event.nodeid} says: ${event.data.message}` };
  } catch {
    return null;
  }
}

function summary(report: TallyReport, newMaster: number): string {
  const { icmp, tcp, arp, http } = report.silence;
  const text = (name: string, ms: number) => `${name} ${ms.toFixed(0)} ms`;
  return [
    `node-${newMaster} took over. Longest silence: ${text("ICMP", icmp.longestMs)}, ${text("TCP", tcp.longestMs)},`,
    `${text("ARP", arp.longestMs)}, ${text("service", http.longestMs)}; two holders for ${report.dualMs} ms;`,
    `the observer itself was late by ${report.latenessMs.toFixed(1)} ms at most.`,
  ].join(" ");
}

function stuck(what: string, hint: string, observer: Observer): QuorateError {
  const failure = observer.failure === null ? "" : ` (observer: ${observer.failure})`;
  return new QuorateError("SERVICE_FAILED", `drill: ${what}${failure}`, hint);
}
