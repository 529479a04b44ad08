import { type NodeId, QuorateError } from "@quorate/contracts";
import { whyNotOff } from "@quorate/core-failover";
import { type Bus, monotonicUs } from "@quorate/runtime";
import type { MachineRoom } from "./machine-room.ts";

/** Others are asked whether they hear it: who does not answer in this time is not waited for. */
const ASK_LIMIT_MS = 800;

export function masterTerm(room: MachineRoom): number {
  const { reign } = room.machines.relocator;
  if (reign !== null) return reign.term;
  throw new QuorateError("NOT_MASTER", "This node is not the master.", "Ask the master: quorate nodes");
}

/** Takes an operator's word that a host is off, unless anybody knows better, and says what becomes of the machines. */
export async function confirmOff(bus: Bus, room: MachineRoom, node: NodeId) {
  const term = masterTerm(room);
  refuseUnlessOff(room, node);
  await refuseIfHeard(bus, room, node);
  // While the others were asked, the master may have lost his role, and the host may have been heard.
  if (masterTerm(room) !== term) throw mayBeOn(node, "The mastership has changed meanwhile.");
  refuseUnlessOff(room, node);
  const waited = Object.entries(room.machines.relocator.blocked).filter(([, reason]) =>
    isAbout(reason, node),
  );
  room.machines.toMaster({ kind: "confirm-off", node });
  const { reign, blocked } = room.machines.relocator;
  const placed: { vm: string; to: NodeId }[] = [];
  const left: { vm: string; reason: NonNullable<(typeof blocked)[string]> }[] = [];
  for (const [vm] of waited) {
    const reason = blocked[vm];
    const to = reign?.table[vm]?.owner ?? null;
    if (reason !== undefined) left.push({ vm, reason });
    else if (to !== null && to !== node) placed.push({ vm, to });
  }
  return { term, placed, left };
}

function isAbout({ facts }: { facts?: Record<string, unknown> | undefined }, node: NodeId): boolean {
  return facts?.["node"] === node;
}

function refuseUnlessOff(room: MachineRoom, node: NodeId): void {
  const why = whyNotOff(room.machines.relocator, node, monotonicUs());
  if (why !== null) throw mayBeOn(node, why);
}

/**
 * The node itself, and whoever else can be reached: a host that is cut off from the master alone is on. Silence proves
 * nothing; the operator's word is what counts.
 */
async function refuseIfHeard(bus: Bus, room: MachineRoom, node: NodeId): Promise<void> {
  await Promise.all(
    room.otherNodes().map(async (other) => {
      const peers = await bus
        .request("membership", "status", other, {}, ASK_LIMIT_MS)
        .then((answer) => answer.peers.peers)
        .catch((error: unknown) => {
          if (error instanceof QuorateError) return null;
          throw error;
        });
      if (peers === null) return;
      if (other === node) throw mayBeOn(node, `Node ${node} answers over the bus: it is on.`);
      const state = peers.find((peer) => peer.node === node)?.state;
      if (state === "joined" || state === "suspect" || state === "one-way")
        throw mayBeOn(node, `Node ${other} hears node ${node}: it is on.`);
    }),
  );
}

function mayBeOn(node: NodeId, why: string): QuorateError {
  return new QuorateError(
    "NODE_MAY_BE_ON",
    why,
    `Switch the host off (power, not the network) and ask again when it is fenced: quorate status. A host that runs comes back by itself, and node ${node}'s machines with it.`,
  );
}
