import {
  countVm,
  type GateOpening,
  isGateShut,
  leaseEndUs,
  leaseVerdict,
  orderVmStep,
  samePlacement,
  type VmFacts,
  type VmHostState,
  type VmTurn,
  wakeVmAt,
} from "./host-state.ts";
import { sortedKeys, type VmOrder } from "./words.ts";

/** What the clock has ended comes first, so that a host that was frozen acts on no lapsed right. */
export function noteLapses(turn: VmTurn): void {
  const { state, nowUs } = turn;
  const verdict = leaseVerdict(state, nowUs);
  for (const vm of sortedKeys(state.vms)) {
    const facts = state.vms[vm];
    if (facts === undefined) continue;
    if (verdict === "no" && facts.confirmed !== null) {
      facts.confirmed = null;
      const why =
        state.grant?.out === true ? "this host is out of the view" : "the lease of this host lapsed";
      turn.reasons.push({ code: "VM_LEASE_LAPSED", message: `${vm}: ${why}.`, facts: { vm } });
    }
    if (state.grant?.out === true && facts.copy !== null) facts.wasOut = true;
    if (isGateShut(facts, nowUs)) {
      facts.open = { network: false, storage: false };
      facts.quietSinceUs = Math.max(facts.quietSinceUs, facts.openUntilUs);
      if (facts.storage === "in-use") facts.storage = "dirty";
    }
  }
}

/**
 * What may pass for a machine now: only under a lease that runs, with a master's word on the placement, for the copy
 * that was started under it, with its record on disk and every older connection gone. The target of a live move may
 * look at its storage before it has a record.
 */
export function wantedOpening(state: VmHostState, facts: VmFacts, nowUs: number): GateOpening {
  const { vm, record, copy, begun } = facts;
  const shut = { vm, network: false, storage: false };
  const held = state.orders[vm];
  if (held === undefined || leaseVerdict(state, nowUs) !== "yes") {
    return keepAdopted(state, facts, nowUs) ?? shut;
  }
  const { order } = held;
  if (order.kind === "destroy") return shut;
  const { placement } = order;
  if (!samePlacement(facts.confirmed, placement) || facts.storage === "dirty") return shut;
  if (mayLook(state, facts, order)) return { vm, network: false, storage: true };
  if (order.kind === "incoming" || !isClaimed(facts)) return shut;
  if (!samePlacement(record?.placement ?? null, placement)) return shut;
  if (copy === null) {
    const starts = order.kind === "run" && begun !== null && !begun.started && nowUs >= held.notBeforeUs;
    return { vm, network: false, storage: starts && samePlacement(begun.placement, placement) };
  }
  if (!samePlacement(copy.placement, placement)) return shut;
  switch (copy.state) {
    case "starting":
    case "paused":
    case "incoming-complete":
      return { vm, network: false, storage: true };
    case "running":
    case "migrating":
      return { vm, network: true, storage: true };
    case "incoming":
    case "moved-out":
    case "ended":
      return shut;
  }
}

/**
 * The target of a live move reads its storage while the source still runs: a hypervisor that receives opens the images
 * and changes nothing in them until it is resumed (ADR 17). What has arrived goes on looking while its claim is written.
 */
function mayLook(
  { flights }: VmHostState,
  { vm, copy }: VmFacts,
  { kind, placement }: Exclude<VmOrder, { kind: "destroy" }>,
): boolean {
  if (copy === null || !samePlacement(copy.placement, placement)) return false;
  if (copy.state === "incoming-complete") return kind === "incoming" || kind === "run";
  return kind === "incoming" && copy.state === "incoming" && flights[`copy:${vm}`] === undefined;
}

/** Found open after a restart: the lease has not lapsed, so what was confirmed to the last life still holds. */
function keepAdopted(state: VmHostState, facts: VmFacts, nowUs: number): GateOpening | null {
  const { vm, copy, record } = facts;
  if (state.orders[vm] !== undefined || leaseVerdict(state, nowUs) !== "yes") return null;
  const placement = record?.placement ?? null;
  const ours = copy !== null && samePlacement(copy.placement, placement) && isClaimed(facts);
  if (!ours || !samePlacement(facts.confirmed, placement) || facts.storage === "dirty") return null;
  const running = copy.state === "running" || copy.state === "migrating";
  return copy.state === "ended" || copy.state === "moved-out"
    ? null
    : { vm, network: running, storage: true };
}

/** Its record says that it is ours, and the disk says so too. */
export function isClaimed(facts: VmFacts): boolean {
  const { record, saved } = facts;
  if (record === null || saved === null || record.released !== null || saved.released !== null) return false;
  return samePlacement(record.placement, saved.placement);
}

/** Shuts what must not be open, keeps open what may, all in one renewal. Shutting comes first. */
export function planGates(turn: VmTurn): void {
  const { state, nowUs, timing } = turn;
  // What is found open says something only beside a lease.
  if (!state.gatesSeen && state.grant !== null) orderVmStep(turn, "gates-look", { kind: "inspect-gates" });
  const wanted: GateOpening[] = [];
  const close: string[] = [];
  let changed = false;
  let keptUntilUs = Number.MAX_SAFE_INTEGER;
  const renewal = state.flights["gates"];
  for (const vm of sortedKeys(state.vms)) {
    const facts = state.vms[vm];
    if (facts === undefined) continue;
    const opening = wantedOpening(state, facts, nowUs);
    if (opening.network || opening.storage) {
      wanted.push(opening);
      const { open } = facts;
      if (open.network !== opening.network || open.storage !== opening.storage) changed = true;
      keptUntilUs = Math.min(keptUntilUs, facts.keptUntilUs);
      continue;
    }
    if (isGateShut(facts, nowUs)) continue;
    // A token after the start everything has run out; until then, what is not known is left to run out.
    if (leaseVerdict(state, nowUs) === "pending" || !state.gatesSeen) {
      wakeVmAt(turn, facts.openUntilUs);
      continue;
    }
    const waits = renewal?.overtaken === true && renews(renewal.step, vm);
    if (!waits) close.push(vm);
    wakeVmAt(turn, facts.openUntilUs);
  }
  // What a predecessor sent may still be carried out for as long as its permit lives.
  const trustedFromUs = state.startedAtUs + timing.permitUs;
  if (close.length > 0) {
    if (nowUs < trustedFromUs) wakeVmAt(turn, trustedFromUs);
    if (orderVmStep(turn, "shut", { kind: "shut-gates", vms: close }) && renewal !== undefined) {
      renewal.overtaken = true;
    }
  }
  planRenewal(turn, wanted, changed, keptUntilUs);
}

function planRenewal(turn: VmTurn, wanted: GateOpening[], changed: boolean, keptUntilUs: number): void {
  const { state, nowUs, timing } = turn;
  if (wanted.length === 0) return;
  const endUs = leaseEndUs(state);
  wakeVmAt(turn, endUs);
  if (endUs - nowUs <= timing.leaseMinimumUs) return;
  const gainUs = endUs - keptUntilUs;
  const urgent = keptUntilUs - nowUs < timing.renewUrgentBelowUs && gainUs >= timing.renewGainUs / 8;
  if (!changed && gainUs < timing.renewGainUs && !urgent) return;
  const step = { kind: "renew-gates" as const, open: wanted, leaseEndUs: endUs, permitUs: timing.permitUs };
  if (!orderVmStep(turn, "gates", step)) return;
  countVm(turn, "gate_renewals");
  for (const { vm, storage } of wanted) {
    const facts = state.vms[vm];
    if (facts === undefined) continue;
    // From here on it may be open, whatever is answered.
    facts.openUntilUs = Math.max(facts.openUntilUs, endUs);
    if (storage) facts.storage = "in-use";
  }
}

export function renews(step: { kind: string; open?: GateOpening[] }, vm: string): boolean {
  return step.kind === "renew-gates" && step.open?.some((opening) => opening.vm === vm) === true;
}
