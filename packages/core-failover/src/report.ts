import type { Reason, ReportMessage } from "@quorate/contracts";
import { CLAIM_MEMORY_US } from "./config.ts";
import type { Verdict } from "./grant.ts";
import { gateNow } from "./plan-gate.ts";
import { compareGrantNames } from "./step.ts";
import { type FailoverState, guardedIps, sortedAddresses, troubleOf } from "./state.ts";

type Able = ReportMessage["able"];

/** What is, in the form the other services and people read. */
export function reportOf(state: FailoverState, verdict: Verdict, nowUs: number): ReportMessage {
  const problems = problemsOf(state, verdict, nowUs);
  // A predecessor's close counts: the evaluator must not fall behind it.
  const newest = compareGrantNames(state.grant, state.closed) >= 0 ? state.grant : state.closed;
  return {
    stampUs: nowUs,
    term: newest?.term ?? 0,
    generation: newest?.generation ?? 0,
    gate: gateNow(state, nowUs),
    shutConfirmed: state.shutConfirmed,
    able: ableOf(state, verdict, nowUs),
    cleanUnderTerm: cleanUnderTerm(state, verdict, nowUs),
    address: addressOf(state),
    service: serviceOf(state, verdict),
    problems,
    guarantees: guaranteesOf(state),
  };
}

function ableOf(state: FailoverState, verdict: Verdict, nowUs: number): Able {
  const no = (code: string, message: string): Able => ({ ok: false, code, message });
  const load = troubleOf(state, "gate", "load-gate");
  if (load !== undefined && state.gate.tables !== "intact") return no(load.error.code, load.error.message);
  if (guardedIps(state).length > 0 && state.gate.loadedFor === "") {
    return no("STARTING", "The gate's tables have not been looked at yet.");
  }
  for (const { device } of state.config.clusterIps) {
    const seen = state.carriers[device]?.seen;
    if (seen === "missing") return no("INTERFACE_MISSING", `The network interface ${device} does not exist.`);
    if (seen === "down") return no("NO_CARRIER", `The network interface ${device} has no carrier.`);
  }
  for (const facts of sortedAddresses(state)) {
    const { address } = facts.ip;
    if (facts.foreign?.onProbe === true && nowUs - facts.foreign.atUs < CLAIM_MEMORY_US) {
      return no("ADDRESS_IN_USE", `${facts.foreign.mac} answers for ${address}.`);
    }
    const add = troubleOf(state, `address:${address}`, "add-address");
    if (add !== undefined && add.failures >= 3) return no(add.error.code, add.error.message);
  }
  const armed = verdict.kind === "pending" ? !state.config.disarmed : verdict.armed;
  if (state.service.unable && armed) {
    return no("SERVICE_FAILED", `The managed service cannot serve here: ${state.service.message}`);
  }
  return { ok: true, code: "OK", message: "This node could serve as master." };
}

/** Held: nothing but what the mastership gives. Not held: gate shut and addresses gone, both seen. */
function cleanUnderTerm(state: FailoverState, verdict: Verdict, nowUs: number): number | null {
  if (state.grant === null || verdict.kind === "pending") return null;
  if (verdict.kind === "hold") return state.grant.term;
  const gone = sortedAddresses(state).every((facts) => facts.seen === "absent");
  return gone && gateNow(state, nowUs) === "shut" ? state.grant.term : null;
}

function addressOf(state: FailoverState): ReportMessage["address"] {
  const seen = state.config.clusterIps.map((ip) => state.addresses[ip.address]?.seen ?? "unknown");
  if (seen.every((each) => each === "absent")) return "absent";
  return seen.every((each) => each === "present") ? "present" : "unknown";
}

function serviceOf(state: FailoverState, verdict: Verdict): ReportMessage["service"] {
  const { service, config, flights } = state;
  if (config.service === null) return "none";
  if (flights["service"]?.step.kind === "stop-service") return "stopping";
  if (service.seen === "running") {
    if (service.ready) return "ready";
    return service.unable || service.lastReadyAtUs !== null ? "failing" : "starting";
  }
  const wanted = verdict.kind === "hold" && verdict.armed;
  return wanted && (service.unable || service.failures.length > 0) ? "failing" : "stopped";
}

function problemsOf(state: FailoverState, verdict: Verdict, nowUs: number): Reason[] {
  const problems: Reason[] = [];
  const add = (code: string, message: string, remedy: string) =>
    problems.push({ code, message, facts: { remedy } });
  const able = ableOf(state, verdict, nowUs);
  if (state.config.clusterIps.length === 0) {
    add("NO_CLUSTER_IP", "The configuration names no cluster address.", "Add a cluster_ip section.");
  }
  if (!able.ok && (able.code === "INTERFACE_MISSING" || able.code === "NO_CARRIER")) {
    add(able.code, able.message, "Check the cable, the switch port and the name of the device (CloudIpDev).");
  }
  if (state.gate.tables === "missing") {
    add(
      "TABLES_LOST",
      "The gate's tables are not in the kernel.",
      "They are loaded again; find what flushes them.",
    );
  }
  for (const facts of sortedAddresses(state)) {
    const { address, device } = facts.ip;
    if (facts.foreign !== null && nowUs - facts.foreign.atUs < CLAIM_MEMORY_US) {
      const what = facts.foreign.onProbe ? "answers for" : "claims";
      const remedy = `Find the machine (arping -I ${device} ${address}) and take the address away from it.`;
      problems.push({
        code: "ADDRESS_IN_USE",
        message: `${facts.foreign.mac} ${what} ${address}.`,
        facts: { address, mac: facts.foreign.mac, remedy },
      });
    }
    const others = facts.devices.filter((name) => name !== device);
    if (others.length > 0) {
      const remedy = `Remove it there: ip address del ${address}/${facts.ip.prefixLength} dev ${others.join(", ")}`;
      add(
        "ADDRESS_ELSEWHERE",
        `${address} is on ${others.join(", ")} as well, not only on ${device}.`,
        remedy,
      );
    }
  }
  if (state.service.unable) {
    const remedy = "Read the service's own log; it is started again with growing pauses.";
    add("SERVICE_FAILED", `The managed service cannot serve here: ${state.service.message}`, remedy);
  }
  for (const key of Object.keys(state.troubles).sort()) {
    const trouble = state.troubles[key];
    if (trouble === undefined) continue;
    const { code, message, hint } = trouble.error;
    if (!problems.some((known) => known.code === code && known.message === message)) add(code, message, hint);
  }
  if (state.refusedGrant !== null) {
    const { term, generation } = state.refusedGrant.name;
    const known = state.grant ?? state.closed;
    add(
      "GRANT_REFUSED",
      `Grants of term ${term}, generation ${generation} are refused: term ${known?.term ?? 0}, generation ${known?.generation ?? 0} is known.`,
      "The quorum-evaluator lost its state, or the run directory is another cluster's: remove failover-actuator.state there.",
    );
  }
  if (verdict.kind !== "pending" && !verdict.armed) {
    add(
      "DISARMED",
      "Automation is off: the service is neither started, restarted nor stopped, and nothing is moved. The address follows the lease.",
      "quorate arm",
    );
  }
  return problems;
}

function guaranteesOf(state: FailoverState): ReportMessage["guarantees"] {
  const { gate } = state;
  const intact = gate.tables === "intact";
  const asked = sortedAddresses(state).every(
    ({ ip }) => troubleOf(state, `probe:${ip.address}`, "probe-address") === undefined,
  );
  const persisted = troubleOf(state, "closed", "persist-closed") === undefined;
  return [
    {
      name: "kernel gate",
      inForce: intact,
      detail: intact
        ? "The kernel stops answering for the address when the lease runs out, whatever happens to our processes."
        : "The filter is not loaded; the address is not taken without it.",
    },
    {
      name: "raw frames held",
      inForce: intact && gate.holdsRawFrames,
      detail: "ARP frames made by other programs leave the host only while the gate is open.",
    },
    {
      name: "address lifetime",
      inForce: true,
      detail:
        "valid_lft takes the address off the interface seconds after we are gone; clean-up, not a belt.",
    },
    {
      name: "duplicate probe",
      inForce: asked,
      detail:
        "One ARP or NDP question before the address is taken; a machine that keeps silent is not noticed.",
    },
    {
      name: "closed stays closed",
      inForce: persisted,
      detail: "A hand-over is remembered over a restart of this process.",
    },
    {
      name: "hardware watchdog",
      inForce: false,
      detail: "Not used for the address: a paused kernel is not noticed.",
    },
    { name: "fence agents", inForce: false, detail: "Not configured." },
  ];
}
