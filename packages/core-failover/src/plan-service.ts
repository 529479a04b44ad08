import {
  hungAfterUs,
  SERVICE_FAILURES_LIMIT,
  SERVICE_FAILURES_WINDOW_US,
  serviceBackOffUs,
} from "./config.ts";
import type { Verdict } from "./grant.ts";
import { isInFront, isMoveSettled } from "./plan-files.ts";
import { isGateOutOfTheWay } from "./plan-gate.ts";
import {
  clearTrouble,
  type FailoverState,
  type ServiceFacts,
  lookDue,
  order,
  note,
  type Turn,
  tell,
  wakeAt,
} from "./state.ts";

function isLeft(service: ServiceFacts): boolean {
  return service.seen === "running" || (service.seen === "failed" && !service.sweptUp);
}

export function planService(turn: Turn, verdict: Verdict): void {
  const { state } = turn;
  const { service, config } = state;
  if (config.service === null) return;
  forgetOldFailures(turn, verdict);
  if (service.stale || lookDue(turn, service.inspectedAtUs, turn.timing.inspectServiceUs)) {
    if (order(turn, "service", { kind: "inspect-service" })) service.stale = false;
  }
  if (service.seen === "unknown") return;
  switch (verdict.kind) {
    case "pending":
      return;
    case "hold":
      clearTrouble(state, "service", "stop-service");
      if (verdict.armed) planWanted(turn, verdict.term);
      // Nothing is started or restarted while automation is off; whether it answers is still told.
      else if (service.seen === "running") planReadiness(turn);
      return;
    case "release":
      service.startedAtUs = null;
      service.ready = false;
      service.lastReadyAtUs = null;
      clearTrouble(state, "service", "start-service");
      // One that failed may have left processes behind.
      if (verdict.armed && isLeft(service) && isGateOutOfTheWay(state, turn.nowUs)) {
        order(turn, "service", { kind: "stop-service", graceUs: config.service.stopTimeoutUs });
      }
  }
}

function planWanted(turn: Turn, term: number): void {
  const { state, nowUs } = turn;
  const { service } = state;
  // On its way out: it must be gone before it can be started.
  if (state.flights["service"]?.step.kind === "stop-service") return;
  if (service.seen === "running") {
    if (service.startedAtUs === null) {
      service.startedAtUs = nowUs;
      const message = "The managed service was found running and is kept.";
      note(turn, { code: "ADOPTED", message });
    }
    planReadiness(turn);
    planHung(turn);
    return;
  }
  if (service.startedAtUs !== null) {
    noteServiceFailure(turn, service.message === "" ? "it ended" : service.message, false);
  }
  if (!isInFront(state, nowUs) || !isMoveSettled(state, term)) return;
  if (service.restartAtUs > nowUs) return wakeAt(turn, service.restartAtUs);
  order(turn, "service", { kind: "start-service" });
}

export function readinessTargets(state: FailoverState): { address: string; port: number }[] {
  const { clusterIps, ports } = state.config;
  const addresses = clusterIps.length === 0 ? ["127.0.0.1"] : clusterIps.map(({ address }) => address);
  return addresses.flatMap((address) => ports.map((port) => ({ address, port })));
}

function planReadiness(turn: Turn): void {
  const { state, nowUs, timing } = turn;
  const { service } = state;
  const targets = readinessTargets(state);
  if (targets.length === 0) {
    noteReadiness(turn, true, "");
    return;
  }
  // Behind a shut gate nothing answers, whatever the service does.
  if (!isInFront(state, nowUs)) return;
  const sinceUs = nowUs - (service.startedAtUs ?? nowUs);
  const startingUs = Math.min(Math.max(Math.round(sinceUs / 10), 20_000), Math.round(timing.tokenUs / 5));
  const periodUs = service.ready ? timing.readinessHeldUs : startingUs;
  if (!lookDue(turn, service.checkedAtUs, periodUs)) return;
  order(turn, "readiness", { kind: "check-readiness", targets, timeoutUs: timing.readinessTimeoutUs });
}

/** It runs, and does not answer: too long since its start, or since it last did. */
function planHung(turn: Turn): void {
  const { state, nowUs } = turn;
  const { service, config } = state;
  if (service.ready || service.startedAtUs === null || config.service === null) return;
  const neverReady = service.lastReadyAtUs === null;
  const fromUs = service.lastReadyAtUs ?? service.startedAtUs;
  const limitUs = neverReady ? config.service.startTimeoutUs : hungAfterUs(config.tokenUs);
  if (fromUs + limitUs > nowUs) return wakeAt(turn, fromUs + limitUs);
  // Behind a shut gate it had no chance to answer: its time starts anew when the gate opens.
  if (!isInFront(state, nowUs)) {
    service.lastReadyAtUs = neverReady ? null : nowUs;
    if (neverReady) service.startedAtUs = nowUs;
    return wakeAt(turn, nowUs + limitUs);
  }
  const stop = { kind: "stop-service" as const, graceUs: config.service.stopTimeoutUs };
  if (!order(turn, "service", stop)) return;
  const what = neverReady ? "it did not become ready in time" : "it stopped answering";
  noteServiceFailure(turn, service.message === "" ? what : `${what}: ${service.message}`, neverReady);
}

export function noteReadiness(turn: Turn, ready: boolean, message: string): void {
  const { service } = turn.state;
  service.checkedAtUs = turn.nowUs;
  if (ready) service.lastReadyAtUs = turn.nowUs;
  service.message = ready ? "" : message;
  if (service.ready === ready) return;
  service.ready = ready;
  if (ready) {
    const reason = { code: "READY", message: "The managed service answers on all its ports." };
    tell(turn, { name: "service_ready", old: "starting", new: "ready", reason });
    return;
  }
  const reason = { code: "NOT_READY", message: `The managed service stopped answering: ${message}` };
  tell(turn, { name: "service_failed", old: "ready", new: "failing", reason });
}

export function noteServiceFailure(turn: Turn, what: string, hopeless: boolean): void {
  const { nowUs } = turn;
  const { service } = turn.state;
  service.failures.push(nowUs);
  if (service.failures.length > 20) service.failures.shift();
  service.streak += 1;
  const wasReady = service.ready;
  service.startedAtUs = null;
  service.ready = false;
  service.lastReadyAtUs = null;
  service.restartAtUs = nowUs + serviceBackOffUs(service.streak);
  if (hopeless || recentFailures(turn) >= SERVICE_FAILURES_LIMIT) service.unable = true;
  service.message = what;
  const reason = {
    code: "SERVICE_FAILED",
    message: `The managed service failed: ${what}`,
    facts: { failuresInAMinute: recentFailures(turn), nextStartInMs: (service.restartAtUs - nowUs) / 1000 },
  };
  tell(turn, { name: "service_failed", old: wasReady ? "ready" : "starting", new: "failing", reason });
}

function recentFailures(turn: Turn): number {
  const fromUs = turn.nowUs - SERVICE_FAILURES_WINDOW_US;
  return turn.state.service.failures.filter((atUs) => atUs > fromUs).length;
}

function forgetOldFailures(turn: Turn, verdict: Verdict): void {
  const { service } = turn.state;
  const fromUs = turn.nowUs - SERVICE_FAILURES_WINDOW_US;
  service.failures = service.failures.filter((atUs) => atUs > fromUs);
  const oldest = service.failures[0];
  if (oldest !== undefined) wakeAt(turn, oldest + SERVICE_FAILURES_WINDOW_US);
  if (service.failures.length === 0 && (service.ready || verdict.kind !== "hold")) service.streak = 0;
  if (!service.unable) return;
  const better =
    verdict.kind === "hold"
      ? service.ready && service.failures.length < SERVICE_FAILURES_LIMIT
      : service.failures.length === 0;
  if (!better) return;
  service.unable = false;
  note(turn, {
    code: "SERVICE_RECOVERED",
    message: "The managed service is counted as able to serve again.",
  });
}
