import type { NodeId } from "@quorate/contracts";
import { block, type RelocatorTurn } from "./relocator-state.ts";
import { isFenced, isRemoved, newestRecord, resetAtUs } from "./survey.ts";
import type { VmId } from "./words.ts";

export function waitFor(turn: RelocatorTurn, vm: VmId, node: NodeId, member: boolean): void {
  const message = member
    ? `${vm} waits: node ${node} has not answered yet what it has.`
    : `${vm} waits: node ${node} is gone and not fenced yet.`;
  block(turn, vm, member ? "VM_WAITS_FOR_ANSWER" : "VM_OWNER_NOT_FENCED", message, node);
}

/** Its disk is there, whoever vouches for what. */
export function waitForHome(turn: RelocatorTurn, vm: VmId, node: NodeId): void {
  block(turn, vm, "VM_LOCAL_STORAGE", `${vm} lies on a disk of node ${node} and waits for that host.`, node);
}

/** For hosts that may still have a copy: time brings the fence or the answer, and for those that are fenced a proof. */
export function waitForHolders(turn: RelocatorTurn, vm: VmId, holders: readonly NodeId[]): void {
  const early = holders.find((node) => !isFenced(turn, node));
  if (early !== undefined) return waitFor(turn, vm, early, turn.judgement.members.includes(early));
  // What time brings by itself is waited for last.
  const node = holders.find((each) => resetAtUs(turn, each, vm) === null) ?? holders[0];
  if (node === undefined) return;
  const resetUs = resetAtUs(turn, node, vm);
  const { reign, state } = turn;
  if (isRemoved(turn, node)) {
    const what = `${vm} may still run on node ${node}, which is on the node list no more: no gate holds it.`;
    const how = `Put that node on the list again; then it answers, or you say that it is off: quorate node confirm-off ${node}`;
    return block(turn, vm, "VM_NEEDS_HUMAN", `${what} ${how}`, node);
  }
  const what = `${vm} may still run on node ${node}: no gate holds it, and only a lapsed lease fences that host.`;
  if (resetUs !== null) {
    const fencedAtUs = turn.judgement.fences.find((each) => each.node === node)?.atUs ?? resetUs;
    const seconds = Math.ceil((resetUs - fencedAtUs) / 1_000_000);
    const how = `It waits until that host's watchdog has reset it for sure: ${seconds} s from the fence.`;
    return block(turn, vm, "VM_WAITS_FOR_RESET", `${what} ${how}`, node);
  }
  const trust = trustOf(turn, node, vm);
  if (!state.config.devices.includes(node)) {
    const how = `${trust}Make sure that the host is off, then say so: quorate node confirm-off ${node}`;
    return block(turn, vm, "VM_NEEDS_HUMAN", `${what} ${how}`, node);
  }
  const why = reign.attempts[node]?.why ?? null;
  const said =
    why === null ? "" : ` So far: ${why} If you know that it is off: quorate node confirm-off ${node}`;
  block(turn, vm, "VM_WAITS_FOR_DEVICE", `${what} It waits until its power device says off.${said}`, node);
}

/** What is to be said of a host whose watchdog should have reset it: it still speaks of the machine. */
function trustOf(turn: RelocatorTurn, node: NodeId, vm: VmId): string {
  const newest = newestRecord(turn, vm);
  const copy = turn.state.reports[node]?.copies.find((each) => each.vm === vm);
  if (newest?.node !== node || newest.record.watchdogUs === undefined || copy === undefined) return "";
  if (copy.unguarded === true) return "That host had lost its watchdog. ";
  return "That host still says so, although its watchdog should have reset it. ";
}
