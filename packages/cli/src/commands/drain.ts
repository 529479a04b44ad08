import { drainLeftMs, type NodeConfig, type NodeId, QuorateError } from "@quorate/contracts";
import { setMaintenanceUntil } from "@quorate/corosync-conf";
import { findNode, parseConfiguration } from "../configuration-file.ts";
import { type MachineLine, machineLines } from "../machine-lines.ts";
import type { Shown } from "../output.ts";
import type { Places } from "../snapshot.ts";
import { moveMaster, propose, withBus } from "./change.ts";
import { lookAround } from "./machines.ts";

const ASK_LIMIT_MS = 1500;
const LOOK_AGAIN_MS = 250;
/** A new master commits the configuration anew first; until then it takes no change. */
const NEW_MASTER_LIMIT_MS = 10_000;

export interface DrainOptions {
  /** Whether to wait until no machine is left there that can leave. */
  readonly wait: boolean;
  readonly progress: (text: string) => void;
}

/**
 * For a time none is placed on the node, and what is there leaves: the mastership first, so that who orders the moves
 * stays, then each machine as its policy says. Once it is empty, to power the node off is no failover.
 */
export async function drain(
  places: Places,
  wanted: string,
  forMs: number,
  { wait, progress }: DrainOptions,
): Promise<Shown> {
  const heir = await heirOf(places, wanted);
  if (heir !== null) progress((await moveMaster(places, String(heir))).text);
  const untilMs = Date.now() + forMs;
  const until = new Date(untilMs).toISOString().replace(/\.\d+Z$/, "Z");
  const message = `Node ${wanted} is drained until ${until}: machines are moved off, none is placed there.`;
  const committed = await insist(() =>
    propose(places, { code: "operator_drain", message }, ({ document, text }) => {
      const { config } = parseConfiguration(text, "running.conf");
      return setMaintenanceUntil(document, findNode(config, wanted).id, until);
    }),
  );
  if (!wait) return committed;
  progress(committed.text);
  return emptied(places, wanted, until, { untilMs, progress });
}

export async function undrain(places: Places, wanted: string): Promise<Shown> {
  const message = `Node ${wanted} takes machines again.`;
  return propose(places, { code: "operator_undrain", message }, ({ document, text }) => {
    const { config } = parseConfiguration(text, "running.conf");
    return setMaintenanceUntil(document, findNode(config, wanted).id, null);
  });
}

/** Who is to lead instead of the node, if it leads: the highest of the others that are members. Null: nobody need. */
async function heirOf(places: Places, wanted: string): Promise<NodeId | null> {
  return withBus(places, async (bus, { nodeId }) => {
    const { text } = await bus.request("config-distributor", "status", nodeId, {}, ASK_LIMIT_MS);
    const { config } = parseConfiguration(text, "running.conf");
    const node = findNode(config, wanted).id;
    const { quorum } = await bus.request("quorum-evaluator", "status", nodeId, {}, ASK_LIMIT_MS);
    if (quorum.leader !== node) return null;
    const members = quorum.view.members.map((member) => member.node);
    const isFit = (each: NodeConfig) =>
      each.id !== node && each.prio > 0 && members.includes(each.id) && drainLeftMs(each, Date.now()) === 0;
    const [heir] = config.nodes.filter(isFit).toSorted((left, right) => right.prio - left.prio);
    if (heir !== undefined) return heir.id;
    throw new QuorateError(
      "NOT_MASTER",
      `Node ${node} is master, and no other member could lead.`,
      "Bring another node back first, or undrain one: quorate nodes shows which are joined.",
    );
  });
}

/** Again while a new master is not ready to take a change. */
async function insist(act: () => Promise<Shown>): Promise<Shown> {
  const giveUpMs = Date.now() + NEW_MASTER_LIMIT_MS;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      const passes = error instanceof QuorateError && ["NOT_MASTER", "CONFIG_STALE"].includes(error.code);
      if (!passes || Date.now() >= giveUpMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}

async function emptied(
  places: Places,
  wanted: string,
  until: string,
  { untilMs, progress }: { untilMs: number; progress: (text: string) => void },
): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const { text } = await bus.request("config-distributor", "status", nodeId, {}, ASK_LIMIT_MS);
    const node = findNode(parseConfiguration(text, "running.conf").config, wanted).id;
    const told = new Map<string, string>();
    let isToldToWait = false;
    while (Date.now() < untilMs) {
      const { own, master } = await lookAround(bus, nodeId);
      const lines = machineLines(own, master);
      for (const [vm, now] of changesOf(lines, node, told)) progress(`${vm}: ${now}\n`);
      const here = lines.filter((line) => isHere(line, node));
      if (!isToldToWait && here.some(({ blocked, movingTo }) => blocked !== null && movingTo === null)) {
        isToldToWait = true;
        progress(
          `Waiting can be ended (Ctrl-C); the drain stays. To end that: quorate node undrain ${node}\n`,
        );
      }
      const stuck = here.filter(({ storage }) => storage === "local");
      if (master !== null && here.length === stuck.length) {
        const json = { node, until, left: stuck.map(({ vm }) => vm) };
        if (stuck.length === 0) {
          const advice = `Node ${node} is empty: to power it off is no failover.\n`;
          return { json, text: advice };
        }
        const names = stuck.map(({ vm }) => vm).join(", ");
        const why = `Node ${node} still has ${names}: on disks of its own. Stop them first: quorate vm stop NAME\n`;
        return { json, text: why };
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
    throw new QuorateError(
      "REQUEST_TIMEOUT",
      `Node ${node} was not empty when its maintenance ended.`,
      "See: quorate vm list",
    );
  });
}

/** It runs there, or might. */
function isHere({ node, state }: MachineLine, here: NodeId): boolean {
  return node === here && state !== "stopped";
}

/** What has changed since `told` for machines that are, or were, on the node; `told` is brought up to date. */
function changesOf(
  lines: readonly MachineLine[],
  node: NodeId,
  told: Map<string, string>,
): [string, string][] {
  return lines.flatMap((line): [string, string][] => {
    if (!told.has(line.vm) && !isHere(line, node)) return [];
    const where = line.node === null ? "between two nodes" : `${line.state} on node ${line.node}`;
    const moving = line.movingTo === null ? "" : `, moving to node ${line.movingTo}`;
    const waits = line.blocked === null ? "" : `; ${line.blocked}`;
    const now = `${where}${moving}${waits}`;
    if (told.get(line.vm) === now) return [];
    told.set(line.vm, now);
    return [[line.vm, now]];
  });
}
