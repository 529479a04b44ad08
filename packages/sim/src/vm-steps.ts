import { assertNever, KERNEL_TICK_US } from "@quorate/contracts";
import type { VmOutcome, VmStep } from "@quorate/core-failover";
import type { ActuatorProcess } from "./processes/actuator-process.ts";
import type { VmActor } from "./vm-actor.ts";

const DONE: VmOutcome = { kind: "done" };
const LIBVIRT_LEAST_US = 20_000;
const LIBVIRT_MOST_US = 60_000;
const START_LEAST_US = 60_000;
const START_MOST_US = 200_000;
const MIGRATE_LEAST_US = 150_000;
const MIGRATE_MOST_US = 900_000;
const LOOK_AGAIN_US = 20_000;

type Answer = (outcome: VmOutcome) => void;

/** The drivers for machines on a simulated host: one step, answered later or never. */
export function carryOutVm(actuator: ActuatorProcess, actor: VmActor, step: VmStep, answer: Answer): void {
  const { host, life } = actuator;
  const { kernel } = actor;
  const random = host.random("machines");
  const command = (act: () => VmOutcome) => actuator.give(life, step.kind, act, answer);
  switch (step.kind) {
    case "inspect-copies":
      return inspect(actuator, actor, answer);
    case "inspect-gates":
      return command(() => ({ kind: "gates-seen", open: kernel.readGates() }));
    case "renew-gates":
      return renew(actuator, actor, step, answer);
    case "shut-gates":
      return command(() => {
        kernel.shut(step.vms);
        return DONE;
      });
    case "reset-storage":
      return command(() => (kernel.resetStorage(step.vm) ? DONE : failed("GATE_OPEN")));
    case "save-records":
      return actuator.begun(life, step.kind, () => {
        host.world.at(host.nowUs() + host.disk.writeCostUs(), () => {
          // What a crash interrupts is not there; the file is replaced as a whole.
          if (actuator.life !== life) return;
          if (host.disk.isFull) return answer(failed("DISK_FULL"));
          host.disk.vmRecords = step.records;
          answer(DONE);
        });
      });
    case "start-copy":
    case "receive-copy":
    case "pause-copy":
    case "resume-copy":
    case "destroy-copy":
    case "shutdown-copy":
    case "migrate-copy": {
      const [leastUs, mostUs] = lengthOf(step);
      const boot = actor.boot;
      const finish: Answer = (outcome) => {
        if (actor.boot === boot) kernel.pending -= 1;
        if (actuator.life === life) answer(outcome);
      };
      // Libvirt goes on without us; only the answer needs this life.
      return actuator.begun(life, step.kind, () => {
        kernel.pending += 1;
        const fromUs = host.nowUs() + host.commandUs();
        if (step.kind === "migrate-copy")
          host.world.at(fromUs, () => {
            if (host.up && actor.boot === boot) actor.migrationBegins(step.vm, step.to);
          });
        host.world.at(fromUs + random.between(leastUs, mostUs), () => {
          if (host.up && actor.boot === boot) finish(actor.hypervisor(step));
        });
      });
    }
    case "cancel-migration":
      return command(() => {
        const migration = kernel.copies.get(step.vm)?.migration;
        if (migration !== null && migration !== undefined) migration.cancelled = true;
        return DONE;
      });
    case "adopt-watchdog":
      return command(() => DONE);
    case "arm-watchdog":
    case "feed-watchdog":
    case "disarm-watchdog":
      // Its machines are all held by the gates; watchdogs are in core-failover's own world.
      return command(() => failed("WATCHDOG_MISSING"));
    default:
      return assertNever(step);
  }
}

function lengthOf(step: VmStep): [number, number] {
  if (step.kind === "start-copy") return [START_LEAST_US, START_MOST_US];
  if (step.kind === "migrate-copy") return [MIGRATE_LEAST_US, MIGRATE_MOST_US];
  return [LIBVIRT_LEAST_US, LIBVIRT_MOST_US];
}

/** All copies; a predecessor's commands are over by then. */
function inspect(actuator: ActuatorProcess, actor: VmActor, answer: Answer): void {
  const { host, life } = actuator;
  const { kernel } = actor;
  const isFirst = actor.hasNotLooked;
  const look = () => {
    if (actuator.life !== life) return;
    if (isFirst && kernel.pending > 0) return host.world.at(host.nowUs() + LOOK_AGAIN_US, look);
    const copies = [...kernel.copies].map(([vm, { state }]) => ({ vm, state }));
    actuator.give(life, "inspect-copies", () => ({ kind: "copies-seen" as const, copies }), answer);
  };
  actuator.begun(life, "inspect-copies-wait", look);
}

/** The permit rule, in two transactions: the clock is read between them. */
function renew(
  actuator: ActuatorProcess,
  actor: VmActor,
  step: VmStep & { kind: "renew-gates" },
  answer: Answer,
): void {
  const { host, life } = actuator;
  const { kernel } = actor;
  const number = host.random("machines").between(1, 2 ** 30);
  actuator.give(
    life,
    "vm-permit",
    () => kernel.permit(number, step.permitUs),
    () => {
      const remainingUs = step.leaseEndUs - host.localUs() - step.permitUs - 2 * KERNEL_TICK_US;
      if (remainingUs < KERNEL_TICK_US) return answer(failed("GATE_LATE"));
      actuator.give(
        life,
        "vm-commit",
        () => kernel.commit(number, step.open, remainingUs),
        (committed) => {
          if (!committed) return answer(failed("GATE_LATE"));
          answer({ kind: "renewed", leaseEndUs: step.leaseEndUs });
        },
      );
    },
  );
}

export function failed(code: string): VmOutcome {
  return { kind: "failed", error: { code, message: code, hint: "It is tried again." } };
}
