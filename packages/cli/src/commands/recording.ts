import { EXIT_CODES, type NodeId, QuorateError } from "@quorate/contracts";
import {
  type Bus,
  encodeTagged,
  programDigest,
  RECORDED_SERVICES,
  type RecordedService,
} from "@quorate/runtime";
import { openBus } from "../bus-client.ts";
import { findNode } from "../configuration-file.ts";
import { serviceEntry } from "../node-run/programs.ts";
import type { Shown } from "../output.ts";
import { type Missing, readRecording, recordingBytes, writeRecording } from "../recording/recording-file.ts";
import { type Difference, replayService, type ServiceReplay } from "../recording/replay.ts";
import { ask, locateNode, type Places } from "../snapshot.ts";

const ASK_LIMIT_MS = 5000;

/** Collects from the services of this node, or of those named, what their cores were given, into one file. */
export async function record(
  places: Places,
  options: { out?: string | undefined; node?: readonly string[] | undefined },
): Promise<Shown> {
  const where = locateNode(places);
  const bus = await openBus(where);
  try {
    const nodes = await chosenNodes(bus, where, options.node ?? []);
    const missing: Missing[] = [];
    const parts: Uint8Array[] = [];
    for (const node of nodes) {
      for (const service of RECORDED_SERVICES) {
        try {
          parts.push(await fetchRecording(bus, service, node));
        } catch (error) {
          if (!(error instanceof QuorateError)) throw error;
          missing.push({ node, service, why: error.message });
        }
      }
    }
    if (parts.length === 0) {
      throw new QuorateError(
        "BUS_UNREACHABLE",
        `No service of node ${nodes.join(", ")} answers: nothing was recorded.`,
        "Does the node run? See `quorate status`.",
      );
    }
    const recordedAt = new Date().toISOString();
    const path =
      options.out ?? `quorate-${where.clusterName}-${recordedAt.replaceAll(/[:.]/g, "-")}.recording.gz`;
    const bytes = recordingBytes({ cluster: where.clusterName, recordedAt, missing }, parts);
    writeRecording(path, bytes);
    const lines = [
      `${path}: ${parts.length} services of node ${nodes.join(", ")}, ${Math.ceil(bytes.length / 1024)} KB. Replay: quorate replay ${path}`,
      ...missing.map(({ node, service, why }) => `  not in it: ${service} of node ${node}: ${why}`),
    ];
    return {
      json: { path, nodes, services: parts.length, bytes: bytes.length, missing },
      text: `${lines.join("\n")}\n`,
    };
  } finally {
    await bus.close();
  }
}

async function chosenNodes(
  bus: Bus,
  where: ReturnType<typeof locateNode>,
  wanted: readonly string[],
): Promise<NodeId[]> {
  if (wanted.length === 0) return [where.nodeId];
  const { config } = await ask(bus, where);
  if (config === null)
    throw new QuorateError("CONFIG_UNREADABLE", "This node has no configuration.", "See `quorate status`.");
  return wanted.map((name) => findNode(config, name).id);
}

async function fetchRecording(bus: Bus, service: RecordedService, node: NodeId): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let dump: number | null = null;
  for (let part = 0, parts = 1; part < parts; part++) {
    const answer: { dump: number; parts: number; data: string } = await bus.request(
      service,
      "recording",
      node,
      { dump, part },
      ASK_LIMIT_MS,
    );
    ({ dump, parts } = answer);
    pieces.push(Buffer.from(answer.data, "base64"));
  }
  return Buffer.concat(pieces);
}

/** Gives a recording to the cores of this program. Exit code 1 when they decide otherwise. */
export function replay(path: string, force: boolean): Shown {
  const { header, services } = readRecording(path, force);
  const replays = services.map((service) => replayService(service));
  const isEqual = replays.every(({ difference }) => difference === null);
  const lines = [
    `${path}: cluster ${header.cluster}, recorded ${header.recordedAt} by version ${header.version}`,
    ...replays.flatMap(replayLines),
    ...header.missing.map(({ node, service, why }) => `node ${node} ${service}: not recorded: ${why}`),
  ];
  return {
    json: { header, services: replays, equal: isEqual },
    text: `${lines.join("\n")}\n`,
    exit: isEqual ? EXIT_CODES.ok : EXIT_CODES.error,
  };
}

function replayLines(replay: ServiceReplay): string[] {
  const { service, node, steps, decisions, digest, difference, thrown } = replay;
  const what = `${steps} ${steps === 1 ? "step" : "steps"}, ${decisions} ${decisions === 1 ? "reason" : "reasons"}`;
  if (difference === null) {
    const equal = `node ${node} ${service}: ${what}: equal, digest ${digest.slice(0, 12)}`;
    return thrown === null ? [equal] : [equal, `  the last step ended it, here too: ${thrown}`];
  }
  const here = programDigest(serviceEntry(service));
  const other =
    here === replay.build ? "" : ` (build ${replay.build} recorded it, ${here} is installed here)`;
  return [
    `node ${node} ${service}: NOT EQUAL at step ${difference.step}${other}`,
    ...differenceLines(difference),
  ];
}

const SHOWN_CHARACTERS = 1000;

function differenceLines({ what, place, input, expected, got }: Difference): string[] {
  const show = (value: unknown) => {
    const text = value === undefined ? "nothing" : encodeTagged(value);
    return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  };
  return [
    `  differs:  ${what}${place === "" ? "" : ` at ${place}`}`,
    `  recorded: ${show(expected)}`,
    `  replayed: ${show(got)}`,
    ...(input === null ? [] : [`  input:    ${show(input)}`]),
  ];
}
