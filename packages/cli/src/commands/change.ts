import { type ConfigRef, QuorateError, type Reason } from "@quorate/contracts";
import {
  type ConfDocument,
  printDocument,
  setConfigVersion,
  setDisarmedUntil,
  setNodePrio,
} from "@quorate/corosync-conf";
import type { Bus } from "@quorate/runtime";
import { openBus } from "../bus-client.ts";
import { findNode, loadConfiguration, parseConfiguration, refuseDangerous } from "../configuration-file.ts";
import type { Shown } from "../output.ts";
import { locateNode, type Places } from "../snapshot.ts";

const STATUS_LIMIT_MS = 1000;
/** A commit is a few round trips; it waits longer only while there is an election. */
const PROPOSE_LIMIT_MS = 10_000;

/** Connects to the node's bus for as long as `act` takes. */
export async function withBus<Result>(
  places: Places,
  act: (bus: Bus, where: ReturnType<typeof locateNode>) => Promise<Result>,
): Promise<Result> {
  const where = locateNode(places);
  const bus = await openBus(where);
  try {
    return await act(bus, where);
  } finally {
    await bus.close();
  }
}

/** Changes the committed document and waits until the change is committed. */
export async function propose(
  places: Places,
  reason: Reason,
  edit: (current: { document: ConfDocument; text: string }) => ConfDocument,
): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const status = await bus.request("config-distributor", "status", nodeId, {}, STATUS_LIMIT_MS);
    const base = status.committed;
    if (base === null) {
      throw new QuorateError(
        "NOT_MASTER",
        "No configuration is known to be committed: there is no master, or it has just been elected.",
        "Try again in a moment; see `quorate status`.",
      );
    }
    if (base.digest !== status.stored.digest) {
      throw new QuorateError(
        "CONFIG_STALE",
        `This node has version ${status.stored.version} while version ${base.version} is committed.`,
        "It is being fetched: try again in a moment, or ask on the master.",
      );
    }
    const { document } = parseConfiguration(status.text, "running.conf");
    const edited = setConfigVersion(edit({ document, text: status.text }), base.version + 1);
    const text = printDocument(edited);
    parseConfiguration(text, "the changed configuration");
    const answer = await bus.request(
      "config-distributor",
      "propose",
      nodeId,
      { base, text, reason },
      PROPOSE_LIMIT_MS,
    );
    return committedShown(base, answer.ref, reason);
  });
}

function committedShown(base: ConfigRef, ref: ConfigRef, reason: Reason): Shown {
  if (ref.digest === base.digest) {
    return {
      json: { ref, changed: false },
      text: `Nothing to change: version ${ref.version} says so already.\n`,
    };
  }
  return {
    json: { ref, changed: true, reason },
    text: `${reason.message} Committed as version ${ref.version} (term ${ref.term}).\n`,
  };
}

export async function applyFile(places: Places, file: string): Promise<Shown> {
  const { config, document } = loadConfiguration(file);
  refuseDangerous(config, file);
  const reason = { code: "operator_apply", message: `The operator applied ${file}.` };
  return propose(places, reason, () => document);
}

export async function changePrio(places: Places, wanted: string, prio: number): Promise<Shown> {
  const message = `The operator gave node ${wanted} the priority ${prio}.`;
  return propose(places, { code: "operator_prio", message }, ({ document, text }) => {
    const { config } = parseConfiguration(text, "running.conf");
    return setNodePrio(document, findNode(config, wanted).id, prio);
  });
}

export async function disarm(places: Places, forMs: number): Promise<Shown> {
  const until = new Date(Date.now() + forMs).toISOString().replace(/\.\d+Z$/, "Z");
  const message = `Automation is off on all nodes until ${until}.`;
  return propose(places, { code: "operator_disarm", message }, ({ document }) =>
    setDisarmedUntil(document, until),
  );
}

export async function arm(places: Places): Promise<Shown> {
  const message = "Automation is on again on all nodes.";
  return propose(places, { code: "operator_arm", message }, ({ document }) =>
    setDisarmedUntil(document, null),
  );
}

/** Null when no answer came in time; throws every other failure. */
async function unlessLate<Answer>(request: Promise<Answer>): Promise<Answer | null> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof QuorateError && error.code === "REQUEST_TIMEOUT") return null;
    throw error;
  }
}

/** A hand-over takes a tenth of this, also where the lease has to be waited out; it is asked for once. */
const MOVE_LIMIT_MS = 5000;

/** Waits until the wanted node leads, so that a script may go on. */
export async function moveMaster(places: Places, wanted: string): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const ask = async () =>
      (await bus.request("quorum-evaluator", "status", nodeId, {}, STATUS_LIMIT_MS)).quorum;
    const status = await bus.request("config-distributor", "status", nodeId, {}, STATUS_LIMIT_MS);
    const { config } = parseConfiguration(status.text, "running.conf");
    const target = findNode(config, wanted);
    const before = await ask();
    if (before.leader === null) {
      throw new QuorateError(
        before.quorate === "yes" ? "NOT_MASTER" : "NOT_QUORATE",
        "There is no master who could hand over.",
        "See `quorate status`; an election ends by itself within 2 tokens.",
      );
    }
    if (before.leader === target.id) {
      return {
        json: { master: target.id, term: before.term, tookMs: 0 },
        text: `Node ${target.id} is master already.\n`,
      };
    }
    const began = performance.now();
    const limitMs = Math.max(6 * config.tokenMs, MOVE_LIMIT_MS);
    // Taken or refused at once; where the answer is late, whether it was taken shows in who leads.
    const order = bus.request("quorum-evaluator", "move", before.leader, { target: target.id }, limitMs);
    await unlessLate(order);
    while (performance.now() - began < limitMs) {
      const now = await unlessLate(ask());
      if (now?.leader === target.id) {
        const tookMs = Math.round(performance.now() - began);
        return {
          json: { master: target.id, term: now.term, tookMs },
          text: `Node ${target.id} is master of term ${now.term}; it took ${tookMs} ms.\n`,
        };
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new QuorateError(
      "REQUEST_TIMEOUT",
      `Node ${target.id} did not become master within ${limitMs} ms.`,
      "`quorate status` on that node says why it is not able; the address is held by whoever it names.",
    );
  });
}

const UNITS_MS: Record<string, number> = { s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const LONGEST_DISARM_MS = 7 * 86_400_000;

/** `30m`, `90s`, `2h`, `1d`. Throws QuorateError USAGE. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,6})(s|m|min|h|d)$/.exec(text);
  const ms = match === null ? 0 : Number(match[1]) * (UNITS_MS[match[2] ?? ""] ?? 0);
  if (ms > 0 && ms <= LONGEST_DISARM_MS) return ms;
  throw new QuorateError(
    "USAGE",
    `${text} is not a time from 1 s to 7 d.`,
    "Write a number and s, m, h or d: --for 30m",
  );
}
