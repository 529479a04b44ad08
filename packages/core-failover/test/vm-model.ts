import type { NodeId } from "@quorate/contracts";
import {
  OPEN_POLICY,
  type RelocatorState,
  type SeenCopy,
  type VmHostState,
  type VmOutcome,
  type VmRecord,
  type VmStep,
} from "../src/index.ts";
import { TOKEN_US } from "./vm-oracle.ts";

export interface Copy {
  state: SeenCopy["state"];
  /** Which execution of the machine it is: a start is a new one, a live migration goes on with the same. */
  execution: number;
}

export interface Gate {
  network: boolean;
  storage: boolean;
  untilUs: number;
}

export interface Host {
  node: NodeId;
  boot: number;
  offsetUs: number;
  copies: Map<string, Copy>;
  gates: Map<string, Gate>;
  /** Bytes that wait for an open gate, by machine: the executions that wrote them. */
  sockets: Map<string, number[]>;
  disk: VmRecord[];
  marker: number;
  incarnation: number;
  alive: boolean;
  pausedUntilUs: number;
  inbox: (() => void)[];
  vms: VmHostState;
  relocator: RelocatorState;
  clean: number | null;
  pendingCopySteps: number;
  storageGone: boolean;
  migrating: Map<string, { cancelled: boolean }>;
  /** Resets the host when it runs out. Whose end, as the kernel closes the device, feeds it: a life of the process. */
  watchdog: { timeoutUs: number; untilUs: number; heldBy: number } | null;
  /** It is gone: nothing arms, feeds or disarms it, and it resets nothing. */
  isWatchdogDead: boolean;
  /** How much later than its timeout it bites. */
  grainUs: number;
}

export function mulberry(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const NODES: NodeId[] = [1, 2, 3];
const SETTLE_US = 500_000;

export function recordOf(
  vm: string,
  change: Partial<VmRecord> = {},
): Omit<VmRecord, "placement" | "revision" | "released"> {
  return {
    vm,
    definition: vm,
    memoryMib: 100,
    vcpus: 1,
    prio: 0,
    wanted: "running",
    storage: "shared",
    storages: ["san"],
    gated: true,
    ...change,
  };
}

export function openGate(host: Host, vm: string, nowUs: number): Gate | undefined {
  const gate = host.gates.get(vm);
  return gate !== undefined && gate.untilUs > nowUs ? gate : undefined;
}

/** It may look at its storage, and neither reach the network nor write: the target of a live move. */
export function isOnlyLooking(host: Host, vm: string, nowUs: number): boolean {
  const state = host.copies.get(vm)?.state;
  const isStill = state === undefined || state === "incoming" || state === "incoming-complete";
  return isStill && openGate(host, vm, nowUs)?.network !== true;
}

/** What a kernel and a hypervisor do. A live migration takes its time and is the world's. */
export function execute(
  host: Host,
  step: VmStep,
  { nowUs, issuedAtUs, disks }: { nowUs: number; issuedAtUs: number; disks: Map<string, number> },
): VmOutcome {
  const copy = "vm" in step ? host.copies.get(step.vm) : undefined;
  switch (step.kind) {
    case "inspect-copies":
      return { kind: "copies-seen", copies: [...host.copies].map(([vm, { state }]) => ({ vm, state })) };
    case "inspect-gates":
      return {
        kind: "gates-seen",
        open: [...host.gates].map(([vm, { network, storage, untilUs }]) => ({
          vm,
          network,
          storage,
          remainingUs: untilUs - nowUs,
        })),
      };
    case "renew-gates": {
      if (nowUs - issuedAtUs > step.permitUs) return failed("GATE_LATE");
      const untilUs = step.leaseEndUs - host.offsetUs;
      host.gates.clear();
      for (const { vm, network, storage } of step.open) host.gates.set(vm, { network, storage, untilUs });
      return { kind: "renewed", leaseEndUs: step.leaseEndUs };
    }
    case "shut-gates":
      for (const vm of step.vms) host.gates.delete(vm);
      return { kind: "done" };
    case "reset-storage":
      if (openGate(host, step.vm, nowUs)?.storage === true) return failed("GATE_OPEN");
      host.sockets.delete(step.vm);
      return { kind: "done" };
    case "save-records":
      host.disk = step.records;
      return { kind: "done" };
    case "start-copy":
      if (copy !== undefined) return failed("EXISTS");
      if (host.storageGone || openGate(host, step.vm, nowUs)?.storage !== true) return failed("STORAGE_GONE");
      disks.set(step.vm, (disks.get(step.vm) ?? 0) + 1);
      host.copies.set(step.vm, { state: "running", execution: disks.get(step.vm) ?? 0 });
      return { kind: "done" };
    case "pause-copy":
      if (copy?.state !== "running") return failed("NOT_RUNNING");
      copy.state = "paused";

      return { kind: "done" };
    case "resume-copy":
      if (copy === undefined || (copy.state !== "paused" && copy.state !== "incoming-complete"))
        return failed("NOT_PAUSED");
      copy.state = "running";
      return { kind: "done" };
    case "destroy-copy":
      host.copies.delete(step.vm);
      return { kind: "done" };
    case "shutdown-copy":
      host.copies.delete(step.vm);
      return { kind: "done" };
    case "receive-copy":
      // It comes into being when the source begins to send.
      return copy === undefined ? { kind: "done" } : failed("EXISTS");
    case "cancel-migration": {
      const migration = host.migrating.get(step.vm);
      if (migration !== undefined) migration.cancelled = true;
      return { kind: "done" };
    }
    case "migrate-copy":
      return failed("NOT_HERE");
    case "adopt-watchdog": {
      const running = host.watchdog;
      if (running === null) return { kind: "done" };
      if (host.isWatchdogDead) return failed("WATCHDOG_UNUSABLE");
      running.heldBy = host.incarnation;
      feed(host, nowUs);
      return { kind: "armed", timeoutUs: running.timeoutUs };
    }
    case "arm-watchdog": {
      if (host.isWatchdogDead) return failed("WATCHDOG_MISSING");
      // One that runs already is taken over as it is: to set it anew would be to stop it.
      const running = host.watchdog;
      const timeoutUs = running?.timeoutUs ?? step.timeoutUs;
      if (timeoutUs > step.timeoutUs) return failed("WATCHDOG_MISSING");
      host.watchdog = { timeoutUs, untilUs: running?.untilUs ?? nowUs, heldBy: host.incarnation };
      return feed(host, nowUs) ? { kind: "armed", timeoutUs } : failed("WATCHDOG_MISSING");
    }
    case "feed-watchdog":
      if (host.isWatchdogDead) return failed("WATCHDOG_UNUSABLE");
      return feed(host, nowUs) ? { kind: "done" } : failed("WATCHDOG_MISSING");
    case "disarm-watchdog":
      host.watchdog = null;
      return { kind: "done" };
  }
}

export function feed({ watchdog, grainUs }: Host, nowUs: number): boolean {
  if (watchdog !== null) watchdog.untilUs = nowUs + watchdog.timeoutUs + grainUs;
  return watchdog !== null;
}

export function failed(code: string): VmOutcome {
  return { kind: "failed", error: { code, message: code, hint: "" } };
}

export function hostConfig(node: NodeId, watchdogUs: number | null) {
  return {
    node,
    tokenUs: TOKEN_US,
    memoryMib: 1000,
    vcpus: 4,
    shutdownGraceUs: 1_000_000,
    storageSettleUs: SETTLE_US,
    watchdogUs,
  };
}

export function relocatorConfig(node: NodeId, bootedAtUs: number) {
  return {
    node,
    nodes: NODES,
    tokenUs: TOKEN_US,
    storageSettleUs: SETTLE_US,
    bootGraceUs: 5_000_000,
    bootedAtUs,
    devices: [],
    devicesKey: "",
    policy: OPEN_POLICY,
  };
}
