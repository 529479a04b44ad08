import { assertNever } from "@quorate/contracts";
import { applyGateSeen, applyLoaded, applyRenewal, applyShut } from "./apply-gate.ts";
import { noteReadiness, noteServiceFailure } from "./plan-service.ts";
import {
  type AddressFacts,
  clearTrouble,
  count,
  type Flight,
  ipsKey,
  note,
  noteTrouble,
  type Turn,
  troubleOf,
  tell,
} from "./state.ts";
import type { StepOutcome } from "./step.ts";
import type { Verdict } from "./grant.ts";

/** Takes the answer to one step. An answer to a step nobody waits for any more is dropped. */
export function takeOutcome(turn: Turn, id: number, outcome: StepOutcome, verdict: Verdict): void {
  const { state } = turn;
  const key = Object.keys(state.flights).find((name) => state.flights[name]?.id === id);
  const flight = key === undefined ? undefined : state.flights[key];
  if (key === undefined || flight === undefined) return;
  delete state.flights[key];
  if (outcome.kind === "failed") {
    applyFailure(turn, key, flight, outcome);
    return;
  }
  if (outcome.kind !== "refused" && outcome.kind !== "shut-unconfirmed") {
    clearTrouble(state, key, flight.step.kind);
  }
  applySuccess(turn, key, flight, outcome, verdict);
}

/** So many looks at the gate must fail in a row before its tables are loaded anew. */
const LOOKS_BEFORE_DOUBT = 3;

function applyFailure(
  turn: Turn,
  key: string,
  flight: Flight,
  outcome: StepOutcome & { kind: "failed" },
): void {
  const { state } = turn;
  const { step } = flight;
  noteTrouble(turn, key, step.kind, outcome.error);
  switch (step.kind) {
    case "load-gate":
      if (state.gate.tables === "intact") state.gate.tables = "unknown";
      break;
    case "inspect-gate":
      // A busy machine lets one look fail; what was seen before is not worth less for it.
      if (
        state.gate.tables === "intact" &&
        (troubleOf(state, key, step.kind)?.failures ?? 0) >= LOOKS_BEFORE_DOUBT
      ) {
        state.gate.tables = "unknown";
      }
      break;
    case "inspect-address":
    case "add-address":
    case "refresh-address":
    case "remove-address": {
      const facts = state.addresses[step.ip.address];
      if (facts === undefined) break;
      facts.stale = step.kind !== "inspect-address";
      if (outcome.error.code !== "INTERFACE_MISSING") break;
      // An address cannot be on a device that is not there.
      setSeen(facts, "absent", []);
      const carrier = state.carriers[step.ip.device];
      if (carrier !== undefined) carrier.stale = true;
      break;
    }
    case "probe-address": {
      // The question could not be asked. What keeps two of ours apart is the gate, not the probe: go on without.
      const facts = state.addresses[step.ip.address];
      const holding = state.holding !== null && flight.startedAtUs >= state.holding.sinceUs;
      if (facts !== undefined && holding && outcome.error.code !== "INTERFACE_MISSING") facts.taken = true;
      break;
    }
    case "inspect-carrier": {
      const facts = state.carriers[step.device];
      if (facts !== undefined) facts.seen = "unknown";
      break;
    }
    case "inspect-file":
    case "write-file":
    case "remove-file":
      state.files[step.file].seen = null;
      break;
    case "start-service":
      noteServiceFailure(turn, outcome.error.message, false);
      state.service.stale = true;
      break;
    case "stop-service":
      state.service.stale = true;
      break;
    default:
      break;
  }
}

function setSeen(facts: AddressFacts, seen: AddressFacts["seen"], devices: string[]): void {
  facts.seen = seen;
  facts.devices = devices;
  if (seen !== "present") facts.validUntilUs = null;
}

function applySuccess(
  turn: Turn,
  key: string,
  flight: Flight,
  outcome: Exclude<StepOutcome, { kind: "failed" }>,
  verdict: Verdict,
): void {
  switch (outcome.kind) {
    case "done":
      return applyDone(turn, flight, verdict);
    case "renewed":
    case "refused":
      return applyRenewal(turn, key, flight, outcome);
    case "shut-confirmed":
    case "shut-unconfirmed":
      return applyShut(turn, key, outcome);
    case "gate-seen":
      return applyGateSeen(turn, outcome);
    case "address-seen":
      return applyAddressSeen(turn, flight, outcome, verdict);
    case "probed":
      return applyProbed(turn, flight, outcome);
    case "carrier-seen":
      return applyCarrierSeen(turn, flight, outcome);
    case "file-seen":
      return applyFileSeen(turn, flight, outcome, verdict);
    case "service-seen":
      return applyServiceSeen(turn, outcome);
    case "readiness-seen":
      if (turn.state.service.seen === "running") noteReadiness(turn, outcome.ready, outcome.message);
      return;
    default:
      return assertNever(outcome);
  }
}

function applyDone(turn: Turn, flight: Flight, verdict: Verdict): void {
  const { state, nowUs } = turn;
  const { step } = flight;
  switch (step.kind) {
    case "load-gate":
      return applyLoaded(turn, ipsKey(step.ips));
    case "persist-closed":
      state.closedPersisted = step.closed;
      return;
    case "add-address":
    case "refresh-address": {
      const facts = state.addresses[step.ip.address];
      if (facts === undefined) return;
      const added = facts.seen !== "present";
      setSeen(facts, "present", [step.ip.device]);
      facts.validUntilUs = nowUs + step.validSeconds * 1_000_000;
      if (!added) return;
      const again = facts.announce !== null || state.gate.openAddresses.includes(step.ip.address);
      if (again) facts.announce = { fromUs: nowUs, next: 0 };
      const message = again
        ? `${step.ip.address} had been removed from ${step.ip.device} and was put back.`
        : `${step.ip.address} was put on ${step.ip.device}; its gate is still shut.`;
      const { address, device } = step.ip;
      const reason = { code: again ? "REPAIRED" : "MASTER", message, facts: { address, device } };
      if (again) tell(turn, { name: "repaired", old: "removed", new: address, reason });
      tell(turn, { name: "address_added", old: null, new: address, reason });
      return;
    }
    case "remove-address": {
      const facts = state.addresses[step.ip.address];
      if (facts === undefined) return;
      setSeen(facts, "absent", []);
      facts.inspectedAtUs = nowUs;
      const { address, device } = step.ip;
      const why =
        verdict.kind === "release"
          ? verdict.reason
          : { code: "NOT_WANTED", message: `${address} must not be on this host as it was.` };
      const reason = { ...why, facts: { ...why.facts, address, device } };
      tell(turn, { name: "address_removed", old: address, new: null, reason });
      return;
    }
    case "announce": {
      count(turn, "announcements");
      const { address, device } = step.ip;
      const reason = {
        code: "ANNOUNCED",
        message: `${address} was announced on ${device}.`,
        facts: { address, device },
      };
      tell(turn, { name: "address_announced", old: null, new: address, reason });
      return;
    }
    case "watch-claims":
      state.watching = ipsKey(step.ips);
      return;
    case "write-file": {
      const facts = state.files[step.file];
      facts.seen = { kind: "ours", term: step.term, node: step.node };
      facts.inspectedAtUs = nowUs;
      note(turn, {
        code: "FILE_WRITTEN",
        message: `The ${step.file} file was written with term ${step.term}.`,
      });
      if (facts.lost) {
        const reason = {
          code: "REPAIRED",
          message: `The ${step.file} file had been removed and was written again.`,
        };
        tell(turn, { name: "repaired", old: "removed", new: step.file, reason });
      }
      facts.lost = false;
      return;
    }
    case "remove-file": {
      const facts = state.files[step.file];
      facts.seen = { kind: "absent" };
      facts.inspectedAtUs = nowUs;
      facts.lost = false;
      note(turn, {
        code: "FILE_REMOVED",
        message: `The ${step.file} file was removed: this node is not master.`,
      });
      return;
    }
    case "relocate": {
      if (state.holding !== null) state.holding.relocated = true;
      const reason = {
        code: "MOVED",
        message: "The mastership moved here; its marker follows.",
        facts: { term: step.term },
      };
      tell(turn, { name: "relocated", old: null, new: "moved here", reason });
      return;
    }
    case "start-service": {
      const { service } = state;
      Object.assign(service, {
        seen: "running",
        startedAtUs: nowUs,
        ready: false,
        lastReadyAtUs: null,
        sweptUp: false,
      });
      service.checkedAtUs = null;
      service.inspectedAtUs = nowUs;
      const again = service.streak > 0;
      const message = again ? "The managed service was started again." : "The managed service was started.";
      const reason = { code: again ? "REPAIRED" : "MASTER", message };
      if (again) tell(turn, { name: "repaired", old: "ended", new: "managed service", reason });
      tell(turn, { name: "service_started", old: "stopped", new: "starting", reason });
      return;
    }
    case "stop-service": {
      const { service } = state;
      Object.assign(service, { seen: "stopped", startedAtUs: null, ready: false, sweptUp: true });
      service.inspectedAtUs = nowUs;
      const reason =
        verdict.kind === "release"
          ? verdict.reason
          : { code: "RESTART", message: "Stopped to be started anew." };
      tell(turn, { name: "service_stopped", old: "stopping", new: "stopped", reason });
      return;
    }
    case "shut-gate":
    case "renew-gate":
    case "inspect-gate":
    case "inspect-address":
    case "probe-address":
    case "inspect-carrier":
    case "inspect-file":
    case "inspect-service":
    case "check-readiness":
      // These answer with what they saw; a bare "done" says nothing.
      return;
    default:
      assertNever(step);
  }
}

function applyAddressSeen(
  turn: Turn,
  flight: Flight,
  outcome: StepOutcome & { kind: "address-seen" },
  verdict: Verdict,
): void {
  if (flight.step.kind !== "inspect-address") return;
  const facts = turn.state.addresses[flight.step.ip.address];
  if (facts === undefined) return;
  facts.inspectedAtUs = turn.nowUs;
  const was = facts.seen;
  setSeen(
    facts,
    outcome.present ? "present" : outcome.devices.length > 0 ? "wrong" : "absent",
    outcome.devices,
  );
  if (outcome.present) {
    facts.validUntilUs = outcome.validSeconds === null ? null : turn.nowUs + outcome.validSeconds * 1_000_000;
  } else if (was === "present" && verdict.kind === "hold") {
    const { address, device } = facts.ip;
    note(turn, { code: "CHANGED_BY_OTHERS", message: `Somebody removed ${address} from ${device}.` });
  }
}

function applyProbed(turn: Turn, flight: Flight, outcome: StepOutcome & { kind: "probed" }): void {
  if (flight.step.kind !== "probe-address") return;
  const { address } = flight.step.ip;
  const facts = turn.state.addresses[address];
  if (facts === undefined) return;
  facts.probedAtUs = turn.nowUs;
  if (outcome.foreignMac === null) {
    // A probe that began before this mastership says nothing about it.
    const sinceUs = turn.state.holding?.sinceUs;
    if (sinceUs !== undefined && flight.startedAtUs >= sinceUs) facts.taken = true;
    facts.foreign = null;
    return;
  }
  if (facts.foreign?.mac !== outcome.foreignMac || !facts.foreign.onProbe) {
    const { foreignMac } = outcome;
    const reason = {
      code: "ADDRESS_IN_USE",
      message: `${address} is answered for by ${foreignMac}: it is not taken, and asked for again.`,
      facts: { address, mac: foreignMac },
    };
    tell(turn, { name: "foreign_claim_seen", old: null, new: foreignMac, reason });
  }
  facts.foreign = { mac: outcome.foreignMac, atUs: turn.nowUs, onProbe: true };
}

function applyCarrierSeen(turn: Turn, flight: Flight, outcome: StepOutcome & { kind: "carrier-seen" }): void {
  const { state, nowUs } = turn;
  if (flight.step.kind !== "inspect-carrier") return;
  const { device } = flight.step;
  const facts = state.carriers[device];
  if (facts === undefined) return;
  const was = facts.seen;
  facts.seen = outcome.carrier;
  facts.inspectedAtUs = nowUs;
  if (was === outcome.carrier) return;
  if (was !== "unknown" || outcome.carrier !== "up") {
    const message = `${device}: carrier ${outcome.carrier}.`;
    note(turn, { code: "CARRIER", message });
  }
  // The filter of a device is bound to the device as it was: look and load anew.
  if (was === "missing") state.gate.loadedFor = "(device came back)";
  for (const address of Object.values(state.addresses)) {
    if (address.ip.device !== device) continue;
    if (was !== "unknown") address.stale = true;
    if (outcome.carrier === "up" && address.announce === null) address.announce = { fromUs: nowUs, next: 0 };
  }
}

function applyFileSeen(
  turn: Turn,
  flight: Flight,
  outcome: StepOutcome & { kind: "file-seen" },
  verdict: Verdict,
): void {
  if (flight.step.kind !== "inspect-file") return;
  const { file } = flight.step;
  const facts = turn.state.files[file];
  facts.inspectedAtUs = turn.nowUs;
  const was = facts.seen;
  facts.seen = outcome.state;
  if (verdict.kind === "hold" && was?.kind === "ours" && outcome.state.kind !== "ours") {
    facts.lost = true;
    note(turn, { code: "CHANGED_BY_OTHERS", message: `Somebody changed the ${file} file.` });
  }
}

function applyServiceSeen(turn: Turn, outcome: StepOutcome & { kind: "service-seen" }): void {
  const { service } = turn.state;
  service.inspectedAtUs = turn.nowUs;
  service.seen = outcome.state;
  if (outcome.state === "running") service.sweptUp = false;
  else {
    service.ready = false;
    if (outcome.message !== "") service.message = outcome.message;
  }
}
