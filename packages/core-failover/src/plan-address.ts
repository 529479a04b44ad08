import type { Verdict } from "./grant.ts";
import { isGateOutOfTheWay, isOpenFor, isUnguarded } from "./plan-gate.ts";
import {
  type AddressFacts,
  clearTrouble,
  ipsKey,
  isConfigured,
  lookDue,
  order,
  sortedAddresses,
  type Turn,
  note,
  troubleOf,
  wakeAt,
} from "./state.ts";

export function addressKey(address: string): string {
  return `address:${address}`;
}

export function planAddresses(turn: Turn, verdict: Verdict): void {
  planCarriers(turn, verdict);
  planWatch(turn, verdict);
  for (const facts of sortedAddresses(turn.state)) {
    if (isUnguarded(turn.state) && facts.seen !== "absent" && facts.seen !== "unknown") {
      remove(turn, facts);
      continue;
    }
    if (lookDue(turn, facts.inspectedAtUs, turn.timing.inspectLinkUs) || facts.stale) look(turn, facts);
    switch (verdict.kind) {
      case "hold":
        if (isConfigured(turn.state, facts.ip.address)) planHeld(turn, facts, verdict);
        else planGone(turn, facts);
        break;
      case "release":
        planReleased(turn, facts);
        break;
      case "pending":
        break;
    }
  }
}

function look(turn: Turn, facts: AddressFacts): void {
  if (order(turn, addressKey(facts.ip.address), { kind: "inspect-address", ip: facts.ip }))
    facts.stale = false;
}

function remove(turn: Turn, facts: AddressFacts): void {
  order(turn, addressKey(facts.ip.address), { kind: "remove-address", ip: facts.ip });
}

function planCarriers(turn: Turn, verdict: Verdict): void {
  const { state, timing } = turn;
  const used = new Set(sortedAddresses(state).map(({ ip }) => ip.device));
  for (const device of Object.keys(state.carriers).sort()) {
    const facts = state.carriers[device];
    if (facts === undefined) continue;
    if (!used.has(device)) {
      delete state.carriers[device];
      continue;
    }
    const periodUs = verdict.kind === "hold" ? timing.inspectCarrierHeldUs : timing.inspectLinkUs;
    if (facts.stale || lookDue(turn, facts.inspectedAtUs, periodUs)) {
      if (order(turn, `carrier:${device}`, { kind: "inspect-carrier", device })) facts.stale = false;
    }
  }
}

/** Others' claims matter while the addresses are ours. */
function planWatch(turn: Turn, verdict: Verdict): void {
  const { state } = turn;
  if (verdict.kind === "pending") return;
  const ips = verdict.kind === "hold" ? state.config.clusterIps : [];
  if (state.watching !== ipsKey(ips)) order(turn, "watch", { kind: "watch-claims", ips: [...ips] });
}

function planHeld(turn: Turn, facts: AddressFacts, verdict: Verdict & { kind: "hold" }): void {
  const { state, nowUs, timing } = turn;
  const { ip } = facts;
  clearTrouble(state, addressKey(ip.address), "remove-address");
  if (!facts.taken) {
    // On the interface and open in the kernel: only a process of ours can have opened it. Go on with it.
    if (facts.seen === "present" && isOpenFor(state, ip.address, nowUs)) {
      facts.taken = true;
      const message = `${ip.address} was found in service and is kept.`;
      note(turn, { code: "ADOPTED", message });
    } else {
      planProbe(turn, facts);
      if (facts.foreign?.onProbe === true && facts.seen === "present") remove(turn, facts);
      return;
    }
  }
  if (state.gate.tables !== "intact" || !isLockSettled(turn, verdict)) return;
  if (state.carriers[ip.device]?.seen === "missing") return;
  switch (facts.seen) {
    case "unknown":
      return;
    case "wrong":
      return remove(turn, facts);
    case "absent":
      // Somebody took it away while another machine claims it: it is asked for again, like the first time.
      if (facts.foreign !== null) {
        facts.taken = false;
        return planProbe(turn, facts);
      }
      order(turn, addressKey(ip.address), { kind: "add-address", ip, validSeconds: timing.validSeconds });
      return;
    case "present":
      planLifetime(turn, facts);
      planAnnounce(turn, facts);
  }
}

function planLifetime(turn: Turn, facts: AddressFacts): void {
  const { timing } = turn;
  const refreshAtUs = facts.validUntilUs === null ? 0 : facts.validUntilUs - timing.refreshBelowUs;
  if (refreshAtUs > turn.nowUs) return wakeAt(turn, refreshAtUs);
  order(turn, addressKey(facts.ip.address), {
    kind: "refresh-address",
    ip: facts.ip,
    validSeconds: timing.validSeconds,
  });
}

function planAnnounce(turn: Turn, facts: AddressFacts): void {
  const { state, nowUs, timing } = turn;
  if (facts.announce === null || !isOpenFor(state, facts.ip.address, nowUs)) return;
  const afterUs = timing.announceAtUs[facts.announce.next];
  if (afterUs === undefined) {
    facts.announce = null;
    return;
  }
  const dueAtUs = facts.announce.fromUs + afterUs;
  if (dueAtUs > nowUs) return wakeAt(turn, dueAtUs);
  if (order(turn, `announce:${facts.ip.address}`, { kind: "announce", ip: facts.ip }))
    facts.announce.next += 1;
}

function planProbe(turn: Turn, facts: AddressFacts): void {
  const { nowUs, timing } = turn;
  if (turn.state.carriers[facts.ip.device]?.seen === "missing") return;
  // Not looked yet: it may be in service already, left by our predecessor.
  const { gate } = turn.state;
  if (facts.seen === "unknown" || (gate.tables === "intact" && gate.open === "unknown")) return;
  if (facts.probedAtUs !== null && facts.foreign?.onProbe === true) {
    const againAtUs = facts.probedAtUs + timing.probeAgainUs;
    if (againAtUs > nowUs) return wakeAt(turn, againAtUs);
  }
  order(turn, `probe:${facts.ip.address}`, {
    kind: "probe-address",
    ip: facts.ip,
    waitUs: timing.probeWaitUs,
  });
}

/** The lock comes first; one that cannot be written is reported and does not keep the address away. */
function isLockSettled(turn: Turn, verdict: Verdict & { kind: "hold" }): boolean {
  if (!verdict.armed) return true;
  const { state } = turn;
  const { seen } = state.files.lock;
  if (seen?.kind === "foreign") return true;
  if (seen?.kind === "ours" && seen.node === state.config.nodeId) return true;
  return (
    troubleOf(state, "lock", "write-file") !== undefined ||
    troubleOf(state, "lock", "inspect-file") !== undefined
  );
}

function forget(turn: Turn, facts: AddressFacts): void {
  facts.taken = false;
  facts.announce = null;
  facts.probedAtUs = null;
  const key = addressKey(facts.ip.address);
  for (const kind of ["add-address", "refresh-address"] as const) clearTrouble(turn.state, key, kind);
  clearTrouble(turn.state, `probe:${facts.ip.address}`, "probe-address");
  clearTrouble(turn.state, `announce:${facts.ip.address}`, "announce");
}

/** Gate first: nothing leaves the interface before the kernel is shut, or cannot be shut by us. */
function planReleased(turn: Turn, facts: AddressFacts): void {
  forget(turn, facts);
  if (facts.seen !== "present" && facts.seen !== "wrong") return dropIfForgotten(turn, facts);
  if (isGateOutOfTheWay(turn.state, turn.nowUs)) remove(turn, facts);
}

/** No longer in the configuration, while others still are: its own gate shuts with the next renewal. */
function planGone(turn: Turn, facts: AddressFacts): void {
  forget(turn, facts);
  if (facts.seen === "absent") return dropIfForgotten(turn, facts);
  if (!turn.state.gate.openAddresses.includes(facts.ip.address)) remove(turn, facts);
}

function dropIfForgotten(turn: Turn, facts: AddressFacts): void {
  const { state } = turn;
  const { address } = facts.ip;
  if (facts.seen !== "absent" || isConfigured(state, address)) return;
  const busy = [addressKey(address), `probe:${address}`, `announce:${address}`];
  if (busy.some((key) => state.flights[key] !== undefined)) return;
  delete state.addresses[address];
}
