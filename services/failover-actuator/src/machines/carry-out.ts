import { assertNever, type NodeId, QuorateError, type VmRecord } from "@quorate/contracts";
import type { VmOutcome, VmStep } from "@quorate/core-failover";
import { type Hypervisor, type MachineGate, machineNumber, prepareDefinition } from "@quorate/host";
import { type Definitions, holdRecord } from "./definitions.ts";
import type { ConfiguredWatchdog } from "./configured-watchdog.ts";
import type { GateHolder } from "./gate-holder.ts";
import type { RecordStore } from "./record-store.ts";

export interface MachineDoors {
  readonly hypervisor: Hypervisor;
  readonly gate: MachineGate;
  readonly holder: GateHolder;
  readonly store: RecordStore;
  readonly definitions: Definitions;
  readonly watchdog: ConfiguredWatchdog;
  /** Where the libvirtd of another node takes live moves. */
  migrationTarget(node: NodeId): { address: string; port: number } | null;
  /** Nodes that may have what a record names, the likeliest first. */
  likelyHolders(): readonly NodeId[];
  /** A machine's record, wherever it is known from. */
  recordOf(vm: string): VmRecord | null;
  /** A step failed in a way that nobody expected. */
  unexpected(step: VmStep, error: unknown): void;
}

const DONE: VmOutcome = { kind: "done" };

/** One step, answered once, whatever happens. */
export async function carryOutVmStep(step: VmStep, doors: MachineDoors): Promise<VmOutcome> {
  try {
    return await perform(step, doors);
  } catch (error) {
    if (error instanceof QuorateError) {
      const { code, message, hint } = error;
      return { kind: "failed", error: { code, message, hint } };
    }
    doors.unexpected(step, error);
    const message = error instanceof Error ? error.message : String(error);
    return failed("TOOL_FAILED", message, "The log has more; it is tried again.");
  }
}

async function perform(step: VmStep, doors: MachineDoors): Promise<VmOutcome> {
  const { hypervisor, gate, holder, store } = doors;
  switch (step.kind) {
    case "inspect-copies": {
      const seen = await hypervisor.inspect();
      return { kind: "copies-seen", copies: seen.map(({ name, state }) => ({ vm: name, state })) };
    }
    case "inspect-gates": {
      await holder.load();
      const { open } = await gate.inspect();
      return { kind: "gates-seen", open: open.map((each) => ({ ...each })) };
    }
    case "renew-gates":
      return await renew(step, doors);
    case "shut-gates": {
      const shut = await gate.shut(step.vms);
      if (shut.outcome === "confirmed") return DONE;
      // Whoever took the tables away has opened everything: they are made anew, shut.
      holder.invalidate();
      await holder.load();
      return failed("TOOL_FAILED", shut.message, "It is tried again; the lease runs out by itself.");
    }
    case "reset-storage": {
      // The first step of a start: the gate may not have heard of the machine yet.
      const record = doors.recordOf(step.vm);
      if (record !== null) await definitionOf(record, doors);
      await holder.load();
      await gate.resetStorage(step.vm);
      return DONE;
    }
    case "save-records":
      await store.writeRecords(step.records);
      return DONE;
    case "start-copy":
    case "receive-copy":
      return await start(step, doors);
    case "pause-copy":
      await hypervisor.pause(step.vm);
      return DONE;
    case "resume-copy":
      await hypervisor.resume(step.vm);
      return DONE;
    case "destroy-copy":
      await hypervisor.destroy(step.vm);
      return DONE;
    case "shutdown-copy":
      await hypervisor.shutDown(step.vm, Math.round(step.graceUs / 1000));
      return DONE;
    case "migrate-copy":
      return await migrate(step, doors);
    case "cancel-migration":
      await hypervisor.cancelMigration(step.vm);
      return DONE;
    case "adopt-watchdog": {
      const timeoutMs = await doors.watchdog.adopt();
      return timeoutMs === null ? DONE : { kind: "armed", timeoutUs: timeoutMs * 1000 };
    }
    case "arm-watchdog":
      return {
        kind: "armed",
        timeoutUs: (await doors.watchdog.arm(Math.floor(step.timeoutUs / 1000))) * 1000,
      };
    case "feed-watchdog":
      doors.watchdog.feed();
      return DONE;
    case "disarm-watchdog":
      await doors.watchdog.disarm();
      return DONE;
    default:
      return assertNever(step);
  }
}

async function renew(step: VmStep & { kind: "renew-gates" }, doors: MachineDoors): Promise<VmOutcome> {
  const { gate, holder } = doors;
  const { open, leaseEndUs, permitUs } = step;
  await holder.load();
  const renewal = await gate.renew({ open, leaseEndUs, permitUs });
  if (renewal.outcome === "open") return { kind: "renewed", leaseEndUs: renewal.leaseEndUs };
  if (renewal.refusal === "not-loaded" || renewal.refusal === "tool-failed") holder.invalidate();
  return failed("TOOL_FAILED", renewal.message, "It is tried again with a new permit.");
}

async function start(
  step: VmStep & { kind: "start-copy" | "receive-copy" },
  doors: MachineDoors,
): Promise<VmOutcome> {
  // A live move brings the target into being by itself; it is only to be known to the gate before.
  const { xml, meaning } = await definitionOf(step.record, doors);
  await doors.holder.load();
  if (step.kind === "receive-copy") return DONE;
  const number = machineNumber(meaning.uuid);
  await doors.hypervisor.start(step.vm, prepareDefinition(xml, { number }));
  return DONE;
}

async function migrate(step: VmStep & { kind: "migrate-copy" }, doors: MachineDoors): Promise<VmOutcome> {
  const target = doors.migrationTarget(step.to);
  if (target === null) {
    return failed("NODE_UNKNOWN", `Node ${step.to} is not in the node list.`, "Name another node.");
  }
  await doors.hypervisor.migrate(step.vm, target);
  return DONE;
}

async function definitionOf(record: VmRecord, { definitions, likelyHolders, holder }: MachineDoors) {
  return await holdRecord(record, holder, (digest) => definitions.get(digest, likelyHolders()));
}

function failed(code: string, message: string, hint: string): VmOutcome {
  return { kind: "failed", error: { code, message, hint } };
}
