/**
 * After a fault: what the cores of each living node were given and decided meanwhile is fetched and given to the same
 * cores again, by `quorate record` and `quorate replay` themselves.
 */
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { BenchLab } from "../bench/bench-lab.ts";
import { tryCommand } from "../command.ts";

const RecordedSchema = z.object({ missing: z.array(z.object({ service: z.string(), why: z.string() })) });
const ReplayedSchema = z.object({
  services: z.array(
    z.object({
      service: z.string(),
      node: z.int(),
      steps: z.int(),
      difference: z.object({ step: z.int(), what: z.string(), place: z.string() }).nullable(),
    }),
  ),
});

export const ReplaySchema = z.object({
  /** Nodes that lived when they were asked. */
  nodes: z.int(),
  /** Nodes whose recording has all four services and replays to the same decisions and states. */
  equal: z.int(),
  /** Steps replayed, of all services of all nodes. */
  steps: z.int(),
  /** In words: where a core decided otherwise. */
  differences: z.array(z.string()),
  /** In words: what could not be recorded or read. */
  failures: z.array(z.string()),
  /** Recordings that services left which ended by an error of their own. */
  crashes: z.array(z.string()),
});
export type Replay = z.infer<typeof ReplaySchema>;

type NodeReplay = { steps: number; differences: string[]; failures: string[] };

/** What the two commands said of one node. Pure. */
export function judgeReplay(node: number, recorded: string, replayed: string): NodeReplay {
  const record = RecordedSchema.safeParse(parse(recorded));
  if (!record.success) return failed(node, `no recording: ${recorded}`);
  const failures = record.data.missing.map(({ service, why }) => `node-${node}: ${service}: ${why}`);
  const replay = ReplayedSchema.safeParse(parse(replayed));
  if (!replay.success) return failed(node, `not replayed: ${replayed}`);
  const differences = replay.data.services.flatMap(({ service, difference }) =>
    difference === null
      ? []
      : [`node-${node}: ${service} at step ${difference.step}: ${difference.what} ${difference.place}`],
  );
  const steps = replay.data.services.reduce((sum, service) => sum + service.steps, 0);
  return { steps, differences, failures };
}

const SHOWN_CHARACTERS = 500;

function failed(node: number, why: string): NodeReplay {
  const failure = `node-${node}: ${why.trim().slice(0, SHOWN_CHARACTERS)}`;
  return { steps: 0, differences: [], failures: [failure] };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** In the host, beside its logs and not on its disk: that may be small. */
const IN_HOST = "/tmp/chaos.recording.gz";
/** Measured nothing any more: what is asked now shall not be in the way of who measures beside us. */
const GENTLY = ["nice", "-n", "10"];

/** Where a node's recording is put; the next sample's takes its place. */
export function recordingPath(folder: string, node: number): string {
  return join(folder, `node-${node}.recording.gz`);
}

/** Fetches and replays the recordings of all living nodes, one after the other; the files stay in `folder`. */
export async function replayAll(bench: BenchLab, folder: string): Promise<Replay> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { hosts, quorate } = bench.lab.record();
  const living = hosts.filter(({ init }) => init !== null);
  const replays: NodeReplay[] = [];
  const crashes: string[] = [];
  for (const { id, init } of living) {
    crashes.push(...takeCrashes(init?.pid ?? 0, folder).map((name) => `node-${id}: ${name}`));
    const recorded = await bench.lab.exec(id, [...GENTLY, ...quorate, "record", "--out", IN_HOST, "--json"]);
    const path = recordingPath(folder, id);
    try {
      cpSync(`/proc/${init?.pid}/root${IN_HOST}`, path);
    } catch {
      replays.push(failed(id, `no recording: ${recorded.stdout}${recorded.stderr}`));
      continue;
    }
    const replayed = await tryCommand([...GENTLY, ...quorate, "replay", path, "--json"]);
    replays.push(judgeReplay(id, recorded.stdout, replayed.stdout || replayed.stderr));
  }
  return {
    nodes: living.length,
    equal: replays.filter((one) => one.differences.length + one.failures.length === 0).length,
    steps: replays.reduce((sum, { steps }) => sum + steps, 0),
    differences: replays.flatMap(({ differences }) => differences),
    failures: replays.flatMap(({ failures }) => failures),
    crashes,
  };
}

/** Moves what crashed services of a host left into `folder`: the next sample on this lab shall not find it again. */
function takeCrashes(initPid: number, folder: string): string[] {
  const from = `/proc/${initPid}/root/var/lib/quorate/crash`;
  let names: string[];
  try {
    names = readdirSync(from).filter((name) => name.endsWith(".recording.gz"));
  } catch {
    // Nobody has crashed there.
    return [];
  }
  for (const name of names) {
    cpSync(join(from, name), join(folder, name));
    rmSync(join(from, name));
  }
  return names;
}

/** For the row and for what was missed. */
export function replayValues(replay: Replay | null): Record<string, number> {
  if (replay === null) return {};
  return {
    replay_differences: replay.differences.length,
    replay_failures: replay.failures.length,
    crashes: replay.crashes.length,
  };
}
