/** What is measured. Each series takes samples until it has n of them; the table is in table.ts. */
import { setTimeout as sleep } from "node:timers/promises";
import { SERVICES } from "@quorate/contracts";
import { DEFAULT_TOPOLOGY, type LabTopology } from "../configuration.ts";
import { isManagedService, processesOfHost } from "../processes.ts";
import { type BenchLab, gapsOf } from "./bench-lab.ts";
import { idleCost } from "./idle-cost.ts";
import { loadedQuiet } from "./quiet.ts";
import type { Sample } from "./results.ts";
import { latenessOf } from "./stood-still.ts";

/** What the table shows of a series. */
export type ShownSeries = Omit<Series<never>, "take">;

export type Series<Bench = BenchLab> = {
  name: string;
  title: string;
  topology: LabTopology;
  /** Samples wanted. */
  n: number;
  /** The values shown, and what each must not exceed (null: shown only). */
  shown: { value: string; statistic: "p99" | "max"; reach: number | null }[];
  /** Takes one sample on a whole cluster; `round` counts the samples of this series. */
  take: (bench: Bench, round: number) => Promise<Sample>;
  /** After so many samples a new lab is built; missing: one lab for all. */
  samplesPerLab?: number;
};

const AT_1000: LabTopology = { ...DEFAULT_TOPOLOGY, tokenMs: 1000 };
const AT_300: LabTopology = { ...DEFAULT_TOPOLOGY, tokenMs: 300 };
const NO_TWO_HOLDERS = { value: "dual_ms", statistic: "max", reach: 0 } as const;

/** Host death: the master's host loses its power, and gets it back after the sample. */
async function takeDeath(bench: BenchLab): Promise<Sample> {
  const master = (await bench.whole()).node.id;
  const window = bench.observer.observe();
  const taken = bench.takenFrom(master);
  await bench.lab.kill(master);
  const next = await taken;
  // Two holders would show while the dead one's lease ended: watch for a token more.
  await sleep(bench.lab.record().tokenMs);
  const report = bench.finish(window);
  await bench.lab.start(master);
  return bench.sample(`node-${master} to node-${next}`, gapsOf(report));
}

const MOVE_REST_MS = 3000;

async function takeMove(bench: BenchLab, round: number): Promise<Sample> {
  const master = (await bench.whole()).node.id;
  const others = bench.othersOf(master);
  const target = others[round % others.length] ?? master;
  // A planned act meets a cluster at rest, not one that still tidies up after the one before.
  await sleep(MOVE_REST_MS);
  const window = bench.observer.observe();
  const taken = bench.takenFrom(master);
  const { quorate } = bench.lab.record();
  const result = await bench.lab.exec(master, [...quorate, "master", "move", String(target)]);
  if (result.code !== 0) throw bench.stuck(`master move ${target} failed: ${result.stderr || result.stdout}`);
  await taken;
  await sleep(500);
  return bench.sample(`node-${master} to node-${target}`, gapsOf(bench.finish(window)));
}

/** A fault that takes the master away and ends again; watched until the cluster is whole and a while more. */
function takeFault(
  label: string,
  begin: (bench: BenchLab, master: number) => Promise<void>,
  end: (bench: BenchLab, master: number) => Promise<void>,
): Series["take"] {
  return async (bench) => {
    const master = (await bench.whole()).node.id;
    const window = bench.observer.observe();
    const taken = bench.takenFrom(master);
    await begin(bench, master);
    await taken;
    await end(bench, master);
    await bench.whole();
    await sleep(bench.lab.record().tokenMs);
    return bench.sample(`${label} node-${master}`, gapsOf(bench.finish(window)));
  };
}

const takeLinkCut = takeFault(
  "link cut",
  (bench, master) => bench.lab.cut(master),
  (bench) => bench.lab.heal(),
);

const takePartition = takeFault(
  "partition",
  (bench, master) => bench.lab.partition([master]),
  async (bench) => {
    await sleep(3000);
    await bench.lab.heal();
  },
);

const FREEZE_MS = 10_000;

const takeFreeze = takeFault(
  "freeze",
  async (bench, master) => {
    await bench.lab.freeze(master);
  },
  async (bench, master) => {
    await sleep(FREEZE_MS);
    await bench.lab.thaw(master);
  },
);

/** All frozen, another node master; then one process alone goes on with what it had in hand. */
async function takeThawAlone(bench: BenchLab, round: number): Promise<Sample> {
  const master = (await bench.whole()).node.id;
  const window = bench.observer.observe();
  const taken = bench.takenFrom(master);
  await bench.lab.freeze(master);
  await taken;
  const initPid = bench.lab.host(master).init?.pid ?? 0;
  const processes = processesOfHost(initPid).filter(
    (process) => process.pid !== initPid && !isManagedService(process),
  );
  const alone = processes[round % processes.length];
  if (alone === undefined) throw bench.stuck(`node-${master} runs nothing`);
  process.kill(alone.pid, "SIGCONT");
  await sleep(2 * bench.lab.record().tokenMs);
  await bench.lab.thaw(master);
  await bench.whole();
  await sleep(bench.lab.record().tokenMs);
  return bench.sample(shortCommand(alone.command), gapsOf(bench.finish(window)));
}

const LATE_LIMIT_MS = 5000;

/**
 * A renewal computed and not committed: the kernel's tool (nft) is stopped at a random instant, so that the
 * actuator's next command lies in its pipe, then the actuator too. When another node has long been master, the
 * tool goes on alone and commits what it finds; then the actuator.
 */
async function takeLateCommit(bench: BenchLab): Promise<Sample> {
  const master = (await bench.whole()).node.id;
  const { tokenMs } = bench.lab.record();
  const initPid = bench.lab.host(master).init?.pid ?? 0;
  const tools = processesOfHost(initPid).filter(({ command }) => /^\S*nft\b/.test(command));
  if (tools.length === 0) throw bench.stuck(`node-${master} runs no nft`);
  await sleep(Math.random() * tokenMs);
  const window = bench.observer.observe();
  const taken = bench.observer.waitFor((seen) => seen.kind === "http" && seen.host !== master, LATE_LIMIT_MS);
  for (const tool of tools) signalIfThere(tool.pid, "SIGSTOP");
  // A renewal is due every tenth of a token: sometimes it lies in the pipe by then, sometimes only its permit.
  const pipeMs = Math.random() * (tokenMs / 5);
  await sleep(pipeMs);
  await bench.lab.signalNamed(master, "failover-actuator", "SIGSTOP");
  // A master that cannot act may stay one when each of the others has had its turn: the lapsed lease is what counts.
  const isTaken = (await taken) !== null;
  for (const tool of tools) signalIfThere(tool.pid, "SIGCONT");
  await sleep(2 * tokenMs);
  await bench.lab.signalNamed(master, "failover-actuator", "SIGCONT");
  await bench.whole();
  await sleep(tokenMs);
  const label = `actuator stopped ${Math.round(pipeMs)} ms after nft${isTaken ? "" : ", nobody took over"}`;
  return bench.sample(label, gapsOf(bench.finish(window)));
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // The actuator has replaced a tool that did not answer.
  }
}

const CRASH_WATCH_MS = 4000;
const CRASHED = ["supervisor", "nats-server", ...SERVICES] as const;

/** Undisturbed, or kill -9 of one process of the master or of a slave: longest silence, and whether the view stayed. */
async function takeCrash(bench: BenchLab, round: number): Promise<Sample> {
  const before = await bench.whole();
  const master = before.node.id;
  const kind = round % (CRASHED.length * 2 + 1);
  const name = CRASHED[Math.floor((kind - 1) / 2)];
  const onMaster = kind % 2 === 1;
  const id = onMaster ? master : (bench.othersOf(master)[round % 2] ?? master);
  const window = bench.observer.observe();
  if (name !== undefined) await bench.lab.signalNamed(id, name, "SIGKILL");
  await sleep(CRASH_WATCH_MS);
  const report = bench.finish(window);
  const after = await bench.whole();
  const sameView = after.view?.term === before.view?.term && after.view?.number === before.view?.number;
  const label = name === undefined ? "undisturbed" : `${onMaster ? "master" : "slave"} ${name}`;
  const silence = name === undefined ? "undisturbed_silence_ms" : "silence_ms";
  return bench.sample(label, {
    [silence]: Math.max(
      report.silence.icmp.longestMs,
      report.silence.arp.longestMs,
      report.silence.tcp.longestMs,
    ),
    ...(name === undefined ? {} : { new_views: sameView ? 0 : 1 }),
    dual_ms: report.dualMs,
    ...latenessOf(report),
  });
}

function shortCommand(command: string): string {
  const words = command.split(" ").map((word) => word.split("/").slice(-3).join("/"));
  return words.slice(0, 3).join(" ");
}

export const SERIES: readonly Series[] = [
  {
    name: "death-1000",
    title: "host death, token 1000",
    topology: AT_1000,
    n: 100,
    shown: [
      { value: "vip_gap_ms", statistic: "p99", reach: 1300 },
      { value: "service_gap_ms", statistic: "p99", reach: null },
      NO_TWO_HOLDERS,
    ],
    take: takeDeath,
  },
  {
    name: "death-300",
    title: "host death, token 300",
    topology: AT_300,
    n: 100,
    shown: [
      { value: "vip_gap_ms", statistic: "p99", reach: 450 },
      { value: "service_gap_ms", statistic: "p99", reach: null },
      NO_TWO_HOLDERS,
    ],
    take: takeDeath,
  },
  {
    name: "quiet-300",
    title: "no faults, two busy loops, token 300; a minute each",
    topology: AT_300,
    n: 10,
    shown: [
      { value: "false_failovers", statistic: "max", reach: 0 },
      { value: "vip_gap_ms", statistic: "p99", reach: null },
      NO_TWO_HOLDERS,
    ],
    take: loadedQuiet,
  },
  {
    name: "move",
    title: "planned hand-over, token 1000",
    topology: AT_1000,
    n: 20,
    shown: [
      { value: "vip_gap_ms", statistic: "max", reach: 100 },
      { value: "service_gap_ms", statistic: "p99", reach: null },
      NO_TWO_HOLDERS,
    ],
    take: takeMove,
  },
  {
    name: "dual-link-cut",
    title: "two holders: link cut",
    topology: AT_1000,
    n: 10,
    shown: [NO_TWO_HOLDERS],
    take: takeLinkCut,
  },
  {
    name: "dual-partition",
    title: "two holders: silent partition",
    topology: AT_1000,
    n: 10,
    shown: [NO_TWO_HOLDERS],
    take: takePartition,
  },
  {
    name: "dual-freeze",
    title: "two holders: all frozen for 10 s",
    topology: AT_1000,
    n: 10,
    shown: [NO_TWO_HOLDERS],
    take: takeFreeze,
  },
  {
    name: "dual-thaw-alone",
    title: "two holders: each process thawed alone",
    topology: AT_1000,
    n: 14,
    shown: [NO_TWO_HOLDERS],
    take: takeThawAlone,
  },
  {
    name: "dual-late-commit",
    title: "two holders: renewal computed, committed late",
    topology: AT_1000,
    n: 20,
    shown: [NO_TWO_HOLDERS],
    take: takeLateCommit,
  },
  {
    name: "crash",
    title: "kill -9 of each single process, token 1000",
    topology: AT_1000,
    n: 3 * (2 * CRASHED.length + 1),
    shown: [
      { value: "undisturbed_silence_ms", statistic: "max", reach: null },
      // Compared with the undisturbed ones in the table.
      { value: "silence_ms", statistic: "max", reach: null },
      { value: "new_views", statistic: "max", reach: 0 },
      NO_TWO_HOLDERS,
    ],
    take: takeCrash,
  },
  {
    name: "idle",
    title: "idle cost per node, token 1000",
    topology: AT_1000,
    n: 6,
    shown: [
      { value: "cpu_percent", statistic: "max", reach: 2 },
      { value: "pss_mb", statistic: "max", reach: null },
      { value: "packets_per_s", statistic: "max", reach: null },
      { value: "bytes_per_s", statistic: "max", reach: null },
    ],
    take: idleCost,
  },
];
