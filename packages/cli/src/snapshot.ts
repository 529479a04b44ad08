import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type ClusterConfig,
  type ConfigRef,
  type EvaluatorState,
  EvaluatorStateSchema,
  type NodeId,
  type PeersMessage,
  QuorateError,
  type QuorumMessage,
  type Reason,
  type ReportMessage,
} from "@quorate/contracts";
import { decodeText, documentDigest, encodeText } from "@quorate/corosync-conf";
import {
  type Bus,
  type CrashRecording,
  crashRecordings,
  DEFAULT_RUN_DIR,
  DEFAULT_STATE_DIR,
  monotonicUs,
  readNodeFile,
  type RefusedFile,
  readRunningDocument,
  readStateFile,
  refusedStateFiles,
  roomInBytes,
} from "@quorate/runtime";
import { openBus } from "./bus-client.ts";
import { parseConfiguration } from "./configuration-file.ts";
import { askJournal, type JournalAnswer } from "./journal-source.ts";
import type { KnownAround } from "./status-machines.ts";

export interface Places {
  runDir?: string | undefined;
  stateDir?: string | undefined;
}

/** What one service said when asked, or why it said nothing. */
export interface Said<Value> {
  value: Value | null;
  /** Age of what it said, by the clock that all processes of the host share. */
  ageMs: number | null;
  /** Why there is no value; empty when there is one. */
  problem: string;
}

export interface DistributorAnswer {
  stored: ConfigRef;
  committed: ConfigRef | null;
  fileNote: Reason | null;
  text: string;
  problems: Reason[];
}

/** Everything that this node knows, and how old it is. */
export interface Snapshot {
  nodeId: NodeId;
  clusterName: string;
  stateDir: string;
  runDir: string;
  nowUs: number;
  wallClock: Date;
  busAnswers: boolean;
  quorum: Said<QuorumMessage>;
  peers: Said<{ message: PeersMessage; counters: Record<string, number>; problems: Reason[] }>;
  report: Said<ReportMessage>;
  distributor: Said<DistributorAnswer>;
  /** Null where the configuration has no section `machines`: nobody is asked then. */
  machines: Said<KnownAround> | null;
  /** State files that were once refused and still lie there. */
  refusedFiles: RefusedFile[];
  /** Bytes that the file system of the state folder still takes; null when that cannot be known. */
  stateRoomBytes: number | null;
  /** What services left that ended by an error of their own. */
  crashes: CrashRecording[];
  journal: Pick<JournalAnswer, "answers" | "problem">;
  /** From the state folder; asked for only when a service does not answer. */
  durable: Said<EvaluatorState>;
  config: ClusterConfig | null;
  configText: string | null;
  /** Of the text above. */
  configSource: "config-distributor" | "file" | "none";
  configAgeMs: number | null;
}

const ASK_LIMIT_MS = 400;

/** Where the node lives and who it is; from node.json, or from the state folder when it does not run. */
export function locateNode(places: Places): {
  nodeId: NodeId;
  clusterName: string;
  stateDir: string;
  runDir: string;
} {
  const runDir = places.runDir ?? DEFAULT_RUN_DIR;
  let stateDir = places.stateDir;
  try {
    const node = readNodeFile(runDir);
    return {
      nodeId: node.nodeId,
      clusterName: node.clusterName,
      stateDir: stateDir ?? node.stateDir,
      runDir,
    };
  } catch (error) {
    stateDir ??= DEFAULT_STATE_DIR;
    const runningConf = join(stateDir, "config", "running.conf");
    const durable = existsSync(stateDir) ? readDurable(stateDir).value : null;
    const text = documentOnDisk(stateDir);
    if (durable === null || text === null) throw error;
    const { config } = parseConfiguration(text, runningConf);
    return { nodeId: durable.node, clusterName: config.clusterName, stateDir, runDir };
  }
}

/** Asks all services of this node at once. Never throws because one of them is down. */
export async function takeSnapshot(places: Places): Promise<Snapshot> {
  const where = locateNode(places);
  const bus = await openBus(where).catch(() => null);
  try {
    return await ask(bus, where);
  } finally {
    await bus?.close();
  }
}

/** As `takeSnapshot`, over a bus that stays open. */
export async function ask(bus: Bus | null, where: ReturnType<typeof locateNode>): Promise<Snapshot> {
  const { nodeId, stateDir, runDir } = where;
  const [quorum, peers, report, distributor, journal] = await Promise.all([
    said(bus, async (open) => {
      const { quorum: value } = await open.request("quorum-evaluator", "status", nodeId, {}, ASK_LIMIT_MS);
      return { value, stampUs: value.stampUs };
    }),
    said(bus, async (open) => {
      const answer = await open.request("membership", "status", nodeId, {}, ASK_LIMIT_MS);
      return {
        value: { message: answer.peers, counters: answer.counters, problems: answer.problems },
        stampUs: answer.peers.stampUs,
      };
    }),
    said(bus, async (open) => {
      const { report: value } = await open.request("failover-actuator", "status", nodeId, {}, ASK_LIMIT_MS);
      return { value, stampUs: value.stampUs };
    }),
    said(bus, async (open) => {
      const { ok: _, ...value } = await open.request(
        "config-distributor",
        "status",
        nodeId,
        {},
        ASK_LIMIT_MS,
      );
      return { value, stampUs: monotonicUs() };
    }),
    askJournal(runDir),
  ]);
  const durable: Said<EvaluatorState> =
    quorum.value === null ? readDurable(stateDir) : { value: null, ageMs: null, problem: "" };
  const document = readDocument(distributor, stateDir);
  const isCared = document.config?.machines !== undefined;
  const machines = isCared ? await askMachines(bus, nodeId, quorum.value?.leader ?? null) : null;
  return {
    ...where,
    nowUs: monotonicUs(),
    wallClock: new Date(),
    busAnswers: bus !== null,
    quorum,
    peers,
    report,
    distributor,
    machines,
    durable,
    refusedFiles: listRefused(where),
    stateRoomBytes: roomInBytes(stateDir),
    crashes: crashRecordings(stateDir),
    journal: { answers: journal.answers, problem: journal.problem },
    ...document,
  };
}

/** This node, and the master where there is another one: only he knows what waits, and why. */
async function askMachines(
  bus: Bus | null,
  nodeId: NodeId,
  leader: NodeId | null,
): Promise<Said<KnownAround>> {
  const askNode = (node: NodeId) =>
    said(bus, async (open) => {
      const value = await open.request("failover-actuator", "machines", node, {}, ASK_LIMIT_MS);
      return { value, stampUs: monotonicUs() };
    });
  const [own, other] = await Promise.all([
    askNode(nodeId),
    leader === null || leader === nodeId ? null : askNode(leader),
  ]);
  if (own.value === null) return { ...own, value: null };
  const master = leader === nodeId ? own.value : (other?.value ?? null);
  return { ...own, value: { own: own.value, master } };
}

async function said<Value>(
  bus: Bus | null,
  asking: (bus: Bus) => Promise<{ value: Value; stampUs: number }>,
): Promise<Said<Value>> {
  if (bus === null) return { value: null, ageMs: null, problem: "The local NATS server does not answer." };
  try {
    const { value, stampUs } = await asking(bus);
    return { value, ageMs: Math.max(0, Math.round((monotonicUs() - stampUs) / 1000)), problem: "" };
  } catch (error) {
    return { value: null, ageMs: null, problem: error instanceof Error ? error.message : String(error) };
  }
}

function listRefused({ stateDir, runDir }: { stateDir: string; runDir: string }): RefusedFile[] {
  const documents = join(stateDir, "config");
  return [stateDir, documents, join(documents, "history"), runDir].flatMap(refusedStateFiles);
}

/** What the disk holds of the document, when somebody vouches for it. */
function documentOnDisk(stateDir: string): string | null {
  try {
    return decodeText(readRunningDocument({ stateDir, configFile: "", encodeText }).bytes);
  } catch {
    return null;
  }
}

function fileAgeMs(path: string): number | null {
  try {
    return Math.max(0, Math.round(Date.now() - statSync(path).mtimeMs));
  } catch {
    return null;
  }
}

function readDurable(stateDir: string): Said<EvaluatorState> {
  const path = join(stateDir, "evaluator.json");
  try {
    const value = readStateFile(path, EvaluatorStateSchema);
    return { value, ageMs: fileAgeMs(path), problem: value === null ? `${path} is missing.` : "" };
  } catch (error) {
    const problem = error instanceof QuorateError ? error.message : String(error);
    return { value: null, ageMs: null, problem };
  }
}

function readDocument(
  distributor: Said<DistributorAnswer>,
  stateDir: string,
): Pick<Snapshot, "config" | "configText" | "configSource" | "configAgeMs"> {
  const path = join(stateDir, "config", "running.conf");
  const candidates: Array<[Snapshot["configSource"], string | null, number | null]> = [
    ["config-distributor", distributor.value?.text ?? null, distributor.ageMs],
    ["file", documentOnDisk(stateDir), fileAgeMs(path)],
  ];
  for (const [configSource, configText, configAgeMs] of candidates) {
    if (configText === null) continue;
    try {
      const { config } = parseConfiguration(configText, path);
      return { config, configText, configSource, configAgeMs };
    } catch {
      // Of another version: the next candidate.
    }
  }
  return { config: null, configText: null, configSource: "none", configAgeMs: null };
}

/** What this node has stored, by the best witness there is. */
export function storedRef(snapshot: Snapshot): ConfigRef | null {
  const ref =
    snapshot.distributor.value?.stored ?? snapshot.quorum.value?.stored ?? snapshot.durable.value?.stored;
  if (ref !== undefined) return ref;
  if (snapshot.config === null || snapshot.configText === null) return null;
  return { term: 0, version: snapshot.config.configVersion, digest: documentDigest(snapshot.configText) };
}
