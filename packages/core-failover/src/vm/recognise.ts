import { compareViews, type NodeId } from "@quorate/contracts";
import { samePlacement } from "./host-state.ts";
import type { Entry, RelocatorTurn } from "./relocator-state.ts";
import {
  answered,
  copyAt,
  isFenced,
  isFencedFor,
  knownVms,
  newestRecord,
  recordAt,
  reportOf,
} from "./survey.ts";
import { waitForHolders, waitForHome } from "./waiting.ts";
import {
  comparePlacements,
  type CopyReport,
  FIRST_PLACEMENT,
  type PlacementName,
  type VmId,
} from "./words.ts";

/** Finds out, for every machine not yet in the table, whose it is. The existing placement wins. */
export function recognise(turn: RelocatorTurn): void {
  const { reign } = turn;
  for (const vm of knownVms(turn)) {
    if (reign.table[vm] !== undefined) continue;
    const found = findOwner(turn, vm);
    if (found === null) continue;
    reign.table[vm] = entryOf(vm, found.owner, found.placement);
    const { term, number } = found.placement;
    const whose = found.owner === null ? "nobody's" : `node ${found.owner}'s`;
    const message = `${vm} is ${whose}: ${found.why}.`;
    const facts = { vm, owner: found.owner, placement: `${term}.${number}` };
    turn.reasons.push({ code: "VM_RECOGNISED", message, facts });
  }
}

export function entryOf(vm: VmId, owner: NodeId | null, placement: PlacementName): Entry {
  return {
    vm,
    owner,
    placement,
    moving: null,
    leavingFor: null,
    moveBroken: false,
    givenAtUs: 0,
    notBeforeUs: 0,
    tries: [],
    failures: 0,
    retryAtUs: 0,
  };
}

function hasAnsweredInView(turn: RelocatorTurn, node: NodeId): boolean {
  const { judgement } = turn;
  const report = reportOf(turn, node);
  return (
    report !== null && judgement.members.includes(node) && compareViews(report.view, judgement.view) === 0
  );
}

interface Found {
  owner: NodeId | null;
  placement: PlacementName;
  why: string;
}

function findOwner(turn: RelocatorTurn, vm: VmId): Found | null {
  const { nodes } = turn;
  const newest = newestRecord(turn, vm);
  const known = newest?.record.placement ?? FIRST_PLACEMENT;
  const copies = nodes.flatMap((node) => {
    const copy = copyAt(turn, node, vm);
    return copy === null || copy.placement === null ? [] : [{ node, copy, placement: copy.placement }];
  });
  // Under a lease that never lapsed since a master's word: nobody else can have been given it.
  const live = copies.find(({ node, copy }) => copy.confirmed && isWhole(copy) && !isFenced(turn, node));
  if (live !== undefined) {
    return {
      owner: live.node,
      placement: live.placement,
      why: "it runs there under a lease that never lapsed",
    };
  }
  const best = copies
    .filter(({ copy }) => isWhole(copy))
    .sort((left, right) => comparePlacements(right.placement, left.placement))[0];
  const newer = best !== undefined && comparePlacements(best.placement, known) >= 0;
  // A member that was never out: who was removed learns it before it is a member again. One that was removed and
  // has not heard of it yet does not know, so only the word of a member of this very view counts.
  if (best !== undefined && newer && !best.copy.wasOut && hasAnsweredInView(turn, best.node)) {
    return { owner: best.node, placement: best.placement, why: "its copy there was never given away" };
  }
  const open = nodes.filter(
    (node) => !answered(turn, node) && !isFencedFor(turn, node, newest?.record ?? null),
  );
  const silent = open[0];
  if (silent !== undefined) {
    const wanted = newest?.record.wanted === "running";
    const isHome = newest?.record.storage === "local" && open.includes(newest.node);
    if (wanted && isHome && isFenced(turn, newest.node)) waitForHome(turn, vm, newest.node);
    else if (wanted) waitForHolders(turn, vm, open);
    return null;
  }
  const moved = movedCopy(turn, vm);
  if (moved !== null) return moved;
  // A copy whose host was out may have been overtaken by one that only a dead host knows of.
  const everybody = nodes.every((node) => answered(turn, node));
  if (best !== undefined && newer && everybody) {
    return {
      owner: best.node,
      placement: best.placement,
      why: "everybody answered and knows of no newer one",
    };
  }
  const placement = best !== undefined && newer ? best.placement : known;
  const why = best === undefined ? "no host has a copy" : "the copy that is left may be outdated";
  return { owner: null, placement, why };
}

function isWhole(copy: CopyReport): boolean {
  switch (copy.state) {
    case "starting":
    case "running":
    case "paused":
    case "migrating":
      return true;
    case "incoming":
    case "incoming-complete":
    case "moved-out":
    case "ended":
      return false;
  }
}

/** A live migration that was complete when the last master was lost: its source says so, from its disk. */
function movedCopy(turn: RelocatorTurn, vm: VmId): Found | null {
  const { nodes } = turn;
  const newest = newestRecord(turn, vm);
  const target = newest?.record.released?.to ?? null;
  if (newest === null || target === null || recordAt(turn, newest.node, vm) === null) return null;
  for (const node of nodes) {
    const copy = copyAt(turn, node, vm);
    if (copy?.state !== "incoming-complete" || !samePlacement(copy.placement, target)) continue;
    if (isFenced(turn, node)) return null;
    return { owner: node, placement: target, why: `it was moved there live from node ${newest.node}` };
  }
  return null;
}

/** Whether the host's inventory already has the machine under this placement. */
export function isKeptBy(turn: RelocatorTurn, node: NodeId, vm: VmId, placement: PlacementName): boolean {
  return (
    reportOf(turn, node)?.records.some(
      (record) => record.vm === vm && samePlacement(record.placement, placement),
    ) === true
  );
}
