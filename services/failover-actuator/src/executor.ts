import { assertNever, type ErrorCode, QuorateError } from "@quorate/contracts";
import type { FileName, FileState, GrantName, Step, StepOutcome } from "@quorate/core-failover";
import type { LockFile, LockFileState } from "@quorate/host";
import type { Drivers, Places } from "./drivers.ts";

export interface ExecutorDoors {
  drivers: Drivers;
  /** Those of the configuration that runs now. */
  places(): Places;
  persistClosed(closed: GrantName): Promise<void>;
  /** Resolves when the machines of failed nodes were ordered to start elsewhere in this term, or need not be waited for. */
  relocate(term: number): Promise<void>;
  /** A failure nobody expected: the step counts as failed, and this tells where to look. */
  unexpected(step: Step, error: unknown): void;
}

const done: StepOutcome = { kind: "done" };

/** Carries one step out. Never throws: what failed is an outcome, and the core decides what follows. */
export async function carryOut(step: Step, doors: ExecutorDoors): Promise<StepOutcome> {
  try {
    return await act(step, doors);
  } catch (error) {
    if (!(error instanceof QuorateError)) doors.unexpected(step, error);
    return failed(error);
  }
}

function failed(error: unknown): StepOutcome {
  const code: ErrorCode = error instanceof QuorateError ? error.code : "TOOL_FAILED";
  const message = error instanceof Error ? error.message : String(error);
  const hint =
    error instanceof QuorateError ? error.hint : "See the log of failover-actuator; it is tried again.";
  return { kind: "failed", error: { code, message, hint } };
}

async function act(step: Step, doors: ExecutorDoors): Promise<StepOutcome> {
  const { gate, address, announcer, carrier, readiness } = doors.drivers;
  switch (step.kind) {
    case "load-gate":
      await gate.load(step.ips);
      return done;
    case "renew-gate": {
      const renewal = await gate.renew(step);
      return renewal.outcome === "open"
        ? { kind: "renewed", leaseEndUs: renewal.leaseEndUs }
        : { kind: "refused", refusal: renewal.refusal, message: renewal.message };
    }
    case "shut-gate": {
      const shut = await gate.shut();
      return shut.outcome === "confirmed"
        ? { kind: "shut-confirmed" }
        : { kind: "shut-unconfirmed", message: shut.message };
    }
    case "inspect-gate": {
      const seen = await gate.inspect();
      return { kind: "gate-seen", ...seen, differences: [...seen.differences], open: [...seen.open] };
    }
    case "persist-closed":
      await doors.persistClosed(step.closed);
      return done;
    case "inspect-address": {
      const seen = await address.inspect(step.ip);
      return { kind: "address-seen", ...seen, devices: [...seen.devices] };
    }
    case "probe-address": {
      const answer = await announcer.probe(step.ip, step.waitUs);
      return { kind: "probed", foreignMac: answer.foreign ? answer.mac : null };
    }
    case "add-address":
      await address.add(step.ip, step.validSeconds);
      return done;
    case "refresh-address":
      await address.refresh(step.ip, step.validSeconds);
      return done;
    case "remove-address":
      await address.remove(step.ip);
      return done;
    case "announce":
      await announcer.announce(step.ip);
      return done;
    case "watch-claims":
      await announcer.watch(step.ips);
      return done;
    case "inspect-carrier":
      return { kind: "carrier-seen", carrier: await carrier.inspect(step.device) };
    case "inspect-file":
      return { kind: "file-seen", state: fileState(await fileOf(step.file, doors.places()).read()) };
    case "write-file":
      await fileOf(step.file, doors.places()).write({ term: step.term, node: step.node });
      return done;
    case "remove-file":
      await fileOf(step.file, doors.places()).remove();
      return done;
    case "relocate":
      await doors.relocate(step.term);
      return done;
    case "inspect-service":
    case "start-service":
    case "stop-service":
      return serve(step, doors.places());
    case "check-readiness": {
      const answer = await readiness.check(step.targets, step.timeoutUs);
      if (answer.ready) return { kind: "readiness-seen", ready: true, message: "" };
      const where = `${answer.target.address} port ${answer.target.port}`;
      return { kind: "readiness-seen", ready: false, message: `${where}: ${answer.message}` };
    }
    default:
      return assertNever(step);
  }
}

async function serve(
  step: Step & { kind: "inspect-service" | "start-service" | "stop-service" },
  { service }: Places,
): Promise<StepOutcome> {
  if (service === null) return { kind: "service-seen", state: "stopped", message: "" };
  switch (step.kind) {
    case "start-service":
      await service.start();
      return done;
    case "stop-service":
      await service.stop(step.graceUs);
      return done;
    case "inspect-service": {
      const state = await service.inspect();
      return {
        kind: "service-seen",
        state: state.kind,
        message: state.kind === "failed" ? state.message : "",
      };
    }
    default:
      return assertNever(step);
  }
}

function fileOf(file: FileName, places: Places): LockFile {
  return file === "lock" ? places.lock : places.marker;
}

function fileState(state: LockFileState): FileState {
  switch (state.kind) {
    case "absent":
    // Anybody can make a file in /tmp: it says nothing, and ours replaces it.
    case "untrusted":
      return { kind: "absent" };
    case "foreign":
      return { kind: "foreign" };
    case "ours":
      return { kind: "ours", ...state.content };
    default:
      return assertNever(state);
  }
}
