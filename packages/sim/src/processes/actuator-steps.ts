import { assertNever } from "@quorate/contracts";
import type { FileName, FileState, Step, StepOutcome } from "@quorate/core-failover";
import { CLUSTER_IP } from "../documents.ts";
import type { ActuatorProcess } from "./actuator-process.ts";

const DONE: StepOutcome = { kind: "done" };
const SERVICE_START_US = 30_000;
const SERVICE_STOP_US = 20_000;
/** From its start until the managed service answers. */
const SERVICE_WARM_UP_US = 150_000;

type Answer = (outcome: StepOutcome) => void;

/** services/failover-actuator's executor on a simulated host: one step, answered later or never. */
export function carryOut(actuator: ActuatorProcess, step: Step, answer: Answer): void {
  const { host, life } = actuator;
  const { kernel, run } = host;
  const command = (act: () => StepOutcome) => actuator.give(life, step.kind, act, answer);
  switch (step.kind) {
    case "load-gate":
    case "renew-gate":
    case "shut-gate":
    case "inspect-gate":
      return carryOutGate(actuator, step, answer);
    case "persist-closed":
      return write(actuator, step.kind, answer, () => {
        run.closed = step.closed;
      });
    case "inspect-address":
      return command(() => ({
        kind: "address-seen",
        present: kernel.hasAddress,
        devices: kernel.hasAddress ? [CLUSTER_IP.device] : [],
        validSeconds: kernel.addressValidSeconds,
      }));
    case "probe-address":
      return command(() => ({ kind: "probed", foreignMac: host.world.answererFor(host) }));
    case "add-address":
    case "refresh-address":
      if (step.kind === "add-address") host.world.checker.noteAddressOrdered(host);
      return command(() => {
        if (kernel.putAddress(step.validSeconds)) host.addressChanged("added");
        return DONE;
      });
    case "remove-address":
      host.world.checker.noteAddressOrderedAway(host);
      return command(() => {
        if (kernel.removeAddress()) host.addressChanged("removed");
        return DONE;
      });
    case "announce":
      return command(() => {
        if (kernel.answers) host.world.announced(host);
        return DONE;
      });
    case "watch-claims":
      return command(() => {
        host.watching = step.ips.length > 0;
        return DONE;
      });
    case "inspect-carrier":
      return command(() => ({ kind: "carrier-seen", carrier: kernel.carrier ? "up" : "down" }));
    case "inspect-file":
      return command(() => ({ kind: "file-seen", state: fileOf(run.files, step.file) }));
    case "write-file":
      return write(actuator, step.kind, answer, () => {
        run.files.set(step.file, { kind: "ours", term: step.term, node: step.node });
      });
    case "remove-file":
      return write(actuator, step.kind, answer, () => {
        run.files.delete(step.file);
      });
    case "relocate":
      return command(() => DONE);
    case "inspect-service":
      return command(() => ({
        kind: "service-seen",
        state: kernel.service,
        message: kernel.service === "failed" ? "it ended" : "",
      }));
    case "start-service":
      return actuator.give(
        life,
        step.kind,
        () => DONE,
        () => later(actuator, SERVICE_START_US, startService),
      );
    case "stop-service":
      return actuator.give(
        life,
        step.kind,
        () => DONE,
        () => later(actuator, SERVICE_STOP_US, stopService),
      );
    case "check-readiness":
      return command(() => {
        const warmUs = host.localUs() - kernel.serviceStartedLocalUs;
        const ready = kernel.service === "running" && warmUs >= SERVICE_WARM_UP_US && kernel.answers;
        return { kind: "readiness-seen", ready, message: ready ? "" : "connection refused" };
      });
    default:
      return assertNever(step);
  }

  function startService(): void {
    if (host.serviceBroken) {
      kernel.service = "failed";
      const error = { code: "SERVICE_FAILED", message: "it does not start", hint: "Mend it." };
      return answer({ kind: "failed", error });
    }
    kernel.service = "running";
    kernel.serviceStartedLocalUs = host.localUs();
    answer(DONE);
  }

  function stopService(): void {
    kernel.service = "stopped";
    answer(DONE);
  }
}

/** What the init system does goes on without us; only the answer needs this life. */
function later(actuator: ActuatorProcess, forUs: number, act: () => void): void {
  const { host } = actuator;
  const { boot } = host;
  host.world.at(host.nowUs() + forUs, () => {
    if (host.boot === boot && host.up) act();
  });
}

/** Files of the run directory: written by the process itself, and lost with it while under way. */
function write(actuator: ActuatorProcess, name: string, answer: Answer, act: () => void): void {
  const { host, life } = actuator;
  const begin = () => {
    host.world.at(host.nowUs() + host.random("actuator").between(200, 4000), () => {
      if (actuator.life !== life) return;
      act();
      answer(DONE);
    });
  };
  actuator.begun(life, name, begin);
}

function fileOf(files: ReadonlyMap<FileName, FileState>, file: FileName): FileState {
  return files.get(file) ?? { kind: "absent" };
}

function carryOutGate(
  actuator: ActuatorProcess,
  step: Extract<Step, { kind: "load-gate" | "renew-gate" | "shut-gate" | "inspect-gate" }>,
  answer: Answer,
): void {
  const { gate, host } = actuator;
  if (gate === null) return;
  host.world.drainMicrotasks();
  const failed = (error: unknown) =>
    answer({ kind: "failed", error: { code: "TOOL_FAILED", message: String(error), hint: "Tried again." } });
  switch (step.kind) {
    case "load-gate":
      gate.load(step.ips).then(() => answer(DONE), failed);
      return;
    case "renew-gate":
      gate
        .renew(step)
        .then(
          (renewal) =>
            answer(
              renewal.outcome === "open"
                ? { kind: "renewed", leaseEndUs: renewal.leaseEndUs }
                : { kind: "refused", refusal: renewal.refusal, message: renewal.message },
            ),
          failed,
        );
      return;
    case "shut-gate":
      gate
        .shut()
        .then(
          (shut) =>
            answer(
              shut.outcome === "confirmed"
                ? { kind: "shut-confirmed" }
                : { kind: "shut-unconfirmed", message: shut.message },
            ),
          failed,
        );
      return;
    case "inspect-gate":
      gate.inspect().then(
        (seen) =>
          answer({
            kind: "gate-seen",
            ...seen,
            differences: [...seen.differences],
            open: [...seen.open],
          }),
        failed,
      );
      return;
    default:
      assertNever(step);
  }
}
