/** What is measured of virtual machines; the table is in table.ts. */
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_TOPOLOGY, type LabTopology } from "../configuration.ts";
import { latenessOf } from "./stood-still.ts";
import type { MachineBench } from "./machine-bench.ts";
import { takeManyPaused } from "./many-machines.ts";
import { takeReplication } from "./replication.ts";
import type { Sample } from "./results.ts";
import type { Series } from "./series.ts";

const TOKEN_MS = 1000;
const STORAGE_SETTLE_MS = 500;
const ORDER_REACH_MS = 1.5 * TOKEN_MS + STORAGE_SETTLE_MS;
/** A guest boots in seconds; without KVM, with others beside it, in many of them. */
const ANSWER_LIMIT_MS = 90_000;
const PAUSE_LIMIT_MS = 20_000;
const MOVE_LIMIT_MS = 60_000;

const TOPOLOGY: LabTopology = { ...DEFAULT_TOPOLOGY, tokenMs: TOKEN_MS, guests: 3 };
const NEVER_TWICE = { value: "double_starts", statistic: "max", reach: 0 } as const;
const NOTHING_LOST = { value: "lost_writes", statistic: "max", reach: 0 } as const;

/** The host that dies: the master's in every second round, where it has guests; else another that has. */
function victimOf(machines: readonly { node: number | null }[], master: number, round: number): number {
  const hosts = [...new Set(machines.flatMap(({ node }) => node ?? []))].toSorted(
    (left, right) => left - right,
  );
  const others = hosts.filter((id) => id !== master);
  const isMaster = hosts.includes(master) && (round % 2 === 0 || others.length === 0);
  return isMaster ? master : (others[0] ?? master);
}

/** A host with guests loses its power, and gets it back after the sample. */
async function takeDeath(bench: MachineBench, round: number): Promise<Sample> {
  const { master, machines } = await bench.serving();
  const host = victimOf(machines, master, round);
  const lost = machines.filter(({ node }) => node === host).map(({ vm }) => vm);
  const window = bench.watchers.observe();
  const view = bench.bench.observer.observe();
  const { relocation, end } = bench.watchers.relocation(host, lost);
  relocation.begin(await bench.lab.kill(host));
  const isDone = await relocation.done(ANSWER_LIMIT_MS);
  end();
  if (!isDone) throw bench.bench.stuck(`guests of node-${host}: ${relocation.missing()}`);
  const values = {
    ...relocation.figures(),
    ...latenessOf(bench.bench.finish(view)),
    ...bench.finish(window),
  };
  await bench.lab.start(host);
  const what = host === master ? "master" : "slave";
  return bench.bench.sample(`${what} node-${host} with ${lost.join(" ")}`, values);
}

/** A host with guests is cut off alone, silently; its guests must fall silent, then stand still. */
async function takeQuorumLoss(bench: MachineBench, round: number): Promise<Sample> {
  const { master, machines } = await bench.serving();
  const host = victimOf(machines, master, round);
  const lost = machines.filter(({ node }) => node === host).map(({ vm }) => vm);
  const window = bench.watchers.observe();
  const view = bench.bench.observer.observe();
  const port = await bench.watchers.watchPort(host);
  const paused = bench.watchers.paused(host, lost);
  const { relocation, end } = bench.watchers.relocation(host, lost);
  try {
    // Before it is done: what follows is rather too long than too short.
    const fromMs = Date.now();
    relocation.begin(fromMs);
    await bench.lab.partition([host]);
    const pausedMs = await paused.last(PAUSE_LIMIT_MS);
    const isDone = await relocation.done(ANSWER_LIMIT_MS);
    if (pausedMs === null) throw bench.bench.stuck(`not all guests of node-${host} were paused`);
    if (!isDone) throw bench.bench.stuck(`guests of node-${host}: ${relocation.missing()}`);
    if (port.failure !== null) throw bench.bench.stuck(port.failure);
    const { networkMs, storageMs } = port.last;
    await bench.lab.heal();
    await bench.serving();
    // A frame of an old copy that is thawed too early would come now.
    await sleep(TOKEN_MS);
    return bench.bench.sample(`node-${host} with ${lost.join(" ")}`, {
      ...{ network_last_ms: networkMs - fromMs, storage_last_ms: storageMs - fromMs },
      paused_ms: pausedMs - fromMs,
      ...latenessOf(bench.bench.finish(view)),
      ...bench.finish(window),
    });
  } finally {
    end();
    paused.end();
    await port.stop();
  }
}

/** One guest is moved live to another host and answers all the time, but for its last moments there and the first here. */
async function takeMove(bench: MachineBench, round: number): Promise<Sample> {
  const { master, machines } = await bench.serving();
  const hosts = [master, ...bench.bench.othersOf(master)].toSorted((left, right) => left - right);
  const [machine] = machines;
  const from = machine?.node ?? null;
  if (machine === undefined || from === null) throw bench.bench.stuck("the guest has no owner");
  const others = hosts.filter((id) => id !== from);
  const target = others[round % others.length] ?? master;
  // What a planned act meets is a cluster at rest.
  await sleep(TOKEN_MS);
  const window = bench.watchers.observe();
  const answers = bench.watchers.guests.observe();
  const view = bench.bench.observer.observe();
  const { quorate } = bench.lab.record();
  const fromMs = Date.now();
  const result = await bench.lab.exec(
    master,
    [...quorate, "vm", "move", machine.vm, String(target)],
    MOVE_LIMIT_MS,
  );
  const movedMs = Date.now() - fromMs;
  if (result.code !== 0)
    throw bench.bench.stuck(`vm move ${machine.vm} ${target}: ${result.stderr || result.stdout}`);
  await bench.serving();
  const [report] = answers.report();
  answers.close();
  if (report === undefined) throw bench.bench.stuck("nobody asked the guest");
  return bench.bench.sample(`${machine.vm} from node-${from} to node-${target}`, {
    gap_ms: report.silence.longestMs,
    moved_ms: movedMs,
    restarts: report.runs.length - 1,
    ...latenessOf(bench.bench.finish(view)),
    ...bench.finish(window),
  });
}

export const MACHINE_SERIES: readonly Series<MachineBench>[] = [
  {
    name: "vm-death",
    title: "host death, token 1000",
    topology: TOPOLOGY,
    n: 10,
    shown: [
      { value: "vm_start_ordered_ms", statistic: "p99", reach: ORDER_REACH_MS },
      { value: "vm_running_ms", statistic: "p99", reach: ORDER_REACH_MS + 1000 },
      { value: "vm_answer_ms", statistic: "p99", reach: null },
      NEVER_TWICE,
      NOTHING_LOST,
    ],
    take: takeDeath,
  },
  {
    name: "vm-quorum-loss",
    title: "host cut off alone, token 1000",
    topology: TOPOLOGY,
    n: 5,
    shown: [
      { value: "network_last_ms", statistic: "max", reach: TOKEN_MS },
      { value: "storage_last_ms", statistic: "max", reach: TOKEN_MS },
      { value: "paused_ms", statistic: "max", reach: 2 * TOKEN_MS },
      NEVER_TWICE,
      NOTHING_LOST,
    ],
    take: takeQuorumLoss,
  },
  {
    name: "vm-quorum-loss-20",
    title: "host with 20 tiny machines cut off alone",
    topology: { ...TOPOLOGY, guests: 1 },
    n: 3,
    // Each on a host that has none of them yet.
    samplesPerLab: 1,
    shown: [{ value: "paused_ms", statistic: "max", reach: 2 * TOKEN_MS }],
    take: takeManyPaused,
  },
  {
    name: "vm-move",
    title: "live move of a guest of 96 MiB",
    // One, so that it is asked often.
    topology: { ...TOPOLOGY, guests: 1 },
    n: 10,
    shown: [
      { value: "gap_ms", statistic: "p99", reach: null },
      { value: "moved_ms", statistic: "p99", reach: null },
      { value: "restarts", statistic: "max", reach: 0 },
      NEVER_TWICE,
      NOTHING_LOST,
    ],
    take: takeMove,
  },
  {
    name: "vm-replication",
    title: "inventory: change to replica on every other node",
    topology: TOPOLOGY,
    n: 30,
    shown: [{ value: "replication_ms", statistic: "p99", reach: 1000 }],
    take: takeReplication,
  },
];
