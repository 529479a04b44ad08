import { setTimeout as delay } from "node:timers/promises";
import { type NodeId, QuorateError, type VmRecord } from "@quorate/contracts";
import { compareRecords, isGivenUp } from "@quorate/core-failover";
import { type MachineDefinition, machineNumber } from "@quorate/host";
import type { MachineRoom } from "./machine-room.ts";
import type { KeptRecord } from "./newest-records.ts";
import { diskOfBoth } from "./same-disk.ts";

/** For the record to be on disk: two tokens. */
const LOOKS_FOR_DISK = 40;
/** Who asked waits too, and the bus is no slower where a token is long. */
const LOOK_LIMIT_MS = 100;
const HEAR_LIMIT_MS = 2000;
const HINT = "Give it a name and a UUID of its own, or take the other one out: quorate vm list";

/**
 * Throws MACHINE_EXISTS when the name, the UUID or a disk is another machine's, stopped or running. Answers with what
 * another node, which gave it up, says of it last.
 */
export async function refuseClash(room: MachineRoom, meaning: MachineDefinition): Promise<VmRecord | null> {
  const vm = meaning.name;
  const own = room.machines.host.config.node;
  for (const { node, copies } of room.reports) {
    if (node === own || !copies.some((copy) => copy.vm === vm && copy.placement === null)) continue;
    const message = `${vm} runs on node ${node}, under libvirt alone: the same name would be the same machine.`;
    throw new QuorateError("MACHINE_EXISTS", message, HINT);
  }
  const kept = await room.wholeInventory();
  const same = kept.find(({ record }) => record.vm === vm);
  const after = same === undefined || same.node === own ? null : succeeded(same);
  const others = kept.filter(({ record }) => record.vm !== vm && !isGivenUp(record));
  await Promise.all(others.map((other) => refuseCommon(room, meaning, other)));
  return after;
}

/** What the other machine is started from next, and what it runs with: a definition that nobody has says nothing. */
async function refuseCommon(room: MachineRoom, meaning: MachineDefinition, other: KeptRecord) {
  const { node, record } = other;
  const digests = new Set([record.definition, record.started?.definition ?? record.definition]);
  for (const digest of digests) {
    const known = await room.definitions.get(digest, [node]).catch(() => null);
    if (known === null) continue;
    if (record.wanted !== "undefined") refuseNumber(meaning, other, known.meaning);
    refuseDisk(meaning, room.machines.host.config.node, other, known.meaning);
  }
}

/** Two UUIDs of one number would share the user by which the kernel tells the machines' connections. */
function refuseNumber({ uuid }: MachineDefinition, { node, record }: KeptRecord, other: MachineDefinition) {
  if (machineNumber(other.uuid) !== machineNumber(uuid)) return;
  const which = other.uuid === uuid ? `the UUID ${uuid}` : `a UUID of the same number as ${uuid}`;
  throw new QuorateError("MACHINE_EXISTS", `${record.vm} of node ${node} has ${which}.`, HINT);
}

/** Most clones begin as a copy of the XML, with the original's disk in it. */
function refuseDisk(
  meaning: MachineDefinition,
  own: NodeId,
  { node, record }: KeptRecord,
  other: MachineDefinition,
) {
  const disk = diskOfBoth({ node: own, meaning }, { node, meaning: other });
  if (disk === null) return;
  const what = `the disk ${disk.source}, which is ${meaning.name}'s ${disk.target}`;
  if (record.wanted === "undefined") {
    const message = `${record.vm} of node ${node} has ${what}, and is being given up.`;
    const hint = `Try again in a moment; if node ${node} is away, when it is back.`;
    throw new QuorateError("MACHINE_BUSY", message, hint);
  }
  throw new QuorateError(
    "MACHINE_EXISTS",
    `${record.vm} of node ${node} has ${what}: two machines that write on it destroy it.`,
    `Give it a disk of its own, take ${record.vm} out (quorate vm forget ${record.vm}), or, where the guests share it, say <shareable/> in both definitions.`,
  );
}

/** Throws unless the other node has given the machine up, and has nothing left of it. */
function succeeded({ node, record }: KeptRecord): VmRecord {
  const { vm } = record;
  if (isGivenUp(record)) return record;
  if (record.wanted === "undefined") {
    throw new QuorateError(
      "MACHINE_BUSY",
      `${vm} is being given up on node ${node}, which has not said yet that nothing is left of it.`,
      `Try again in a moment; if node ${node} is away, when it is back.`,
    );
  }
  throw new QuorateError(
    "MACHINE_EXISTS",
    `${vm} is node ${node}'s already.`,
    `To change it: quorate vm define FILE --node ${node}. Another machine needs a name and a UUID of its own.`,
  );
}

/** Throws MACHINE_EXISTS when a new machine's name became another node's while this one was being taken in. */
export function refuseLateName(room: MachineRoom, vm: string): void {
  const same = room.inventory().find(({ record }) => record.vm === vm);
  if (same !== undefined && same.node !== room.machines.host.config.node) succeeded(same);
}

/**
 * Two nodes can take in machines of one name before they have heard of each other. After this one's record is on disk
 * and reports had half a token to arrive, both see both: the newer record counts, of two new ones the lower node's, as
 * for the master. Whoever is not that takes his back and throws MACHINE_EXISTS.
 */
export async function refuseRival(room: MachineRoom, vm: string, definition: string): Promise<void> {
  if (room.otherNodes().length === 0) return;
  const { tokenUs } = room.machines.host.config;
  const isSaved = () => room.machines.host.vms[vm]?.saved?.definition === definition;
  for (let looks = 0; !isSaved() && looks < LOOKS_FOR_DISK; looks += 1)
    await delay(Math.min(tokenUs / 20_000, LOOK_LIMIT_MS));
  await delay(Math.min(tokenUs / 2000, HEAR_LIMIT_MS));
  const rival = rivalOf(room, vm, definition);
  if (rival === null) return;
  room.machines.toHost({ kind: "withdraw", vm, definition });
  throw new QuorateError(
    "MACHINE_EXISTS",
    `${vm} was defined on node ${rival.node} at the same moment, otherwise: that definition counts, and not this one.`,
    `See: quorate vm show ${vm}. Another machine needs a name and a UUID of its own.`,
  );
}

function rivalOf(room: MachineRoom, vm: string, definition: string): KeptRecord | null {
  const { host } = room.machines;
  const { node } = host.config;
  const own = { node, records: [host.vms[vm]?.record ?? []].flat() };
  const others = room.reports.filter((report) => report.node !== node);
  const [newest] = [own, ...others]
    .flatMap(({ node: keeper, records }) => records.map((record) => ({ node: keeper, record })))
    .filter(({ record }) => record.vm === vm && !isGivenUp(record))
    .sort((left, right) => compareRecords(right.record, left.record) || left.node - right.node);
  return newest === undefined || newest.record.definition === definition ? null : newest;
}
