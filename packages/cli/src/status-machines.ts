import type { Reason } from "@quorate/contracts";
import { type KnownMachines, machineLines, type MachineLine } from "./machine-lines.ts";
import type { Said } from "./snapshot.ts";
import type { Status } from "./status.ts";

/** What this node knows of machines, and the master where it could be asked. */
export interface KnownAround {
  readonly own: KnownMachines;
  readonly master: KnownMachines | null;
}

/** `quorate status`: machines under care; null where nobody asked for their care, or nothing is known. */
export interface MachinesStatus {
  readonly running: number;
  /** Should run and don't, and why; empty of reasons while no master is known. */
  readonly waiting: readonly { readonly vm: string; readonly why: string }[];
  readonly stopped: number;
  /** Known beforehand: nobody starts them elsewhere when their host dies or falls silent. */
  readonly notRelocatable: readonly { readonly vm: string; readonly why: string }[];
  readonly masterKnown: boolean;
}

type Guarantee = Status["guarantees"][number];

export function machinesStatus(said: Said<KnownAround> | null): MachinesStatus | null {
  const around = said?.value ?? null;
  if (around === null) return null;
  const lines = machineLines(around.own, around.master);
  const wanted = lines.filter((line) => line.wanted === "running");
  const running = wanted.filter((line) => line.state === "running" || line.state === "migrating");
  return {
    running: running.length,
    waiting: wanted
      .filter((line) => !running.includes(line))
      .map((line) => ({ vm: line.vm, why: whyNot(line) })),
    stopped: lines.length - wanted.length,
    notRelocatable: lines.flatMap((line) => hindranceOf(line)),
    masterKnown: around.master !== null,
  };
}

function whyNot({ vm, state, blocked, node }: MachineLine): string {
  if (blocked !== null) return blocked;
  return node === null ? `${vm} is not placed yet.` : `${vm} is ${state} on node ${node}.`;
}

function hindranceOf({ vm, storage, obstacles }: MachineLine): { vm: string; why: string }[] {
  if (storage === "local") {
    const why = obstacles.length === 0 ? "it lies on a disk of its host" : obstacles.join("; ");
    return [{ vm, why: `not at all: ${why}` }];
  }
  return obstacles.length === 0 ? [] : [{ vm, why: `not by lease: ${obstacles.join("; ")}` }];
}

/** The hypervisor's and the gates' troubles on this host, as its service says them. */
export function machineProblems(said: Said<KnownAround> | null): readonly Reason[] {
  return said?.value?.own.problems ?? [];
}

/** What fences machines on this host in truth, and what does not. */
export function machineGuarantees(said: Said<KnownAround> | null): Guarantee[] {
  if (said === null) return [];
  const own = said.value?.own ?? null;
  const troubled = machineProblems(said).find(({ facts }) => String(facts?.["subject"]).endsWith("-gates"));
  const held =
    "Taps on bridges, and connections to the storage endpoints by each machine's own user, pass only under this host's lease.";
  const why = own === null ? said.problem : troubled?.message;
  return [
    { name: "machines' gates", inForce: why === undefined, detail: why ?? held },
    {
      name: "machines beside the gates",
      inForce: false,
      detail:
        "Local disks, macvtap, host devices and the kernel's own storage clients are not held; fence agents and watchdog are not honoured yet.",
    },
    {
      name: "live moves",
      inForce: false,
      detail: "Not yet: a move is broken off, and the machine stays where it is.",
    },
  ];
}

/** The part of the text; empty where there is nothing to say. */
export function machineRows(machines: MachinesStatus | null): string[] {
  if (machines === null) return [];
  const { running, waiting, stopped, notRelocatable, masterKnown } = machines;
  const unknown = masterKnown ? "" : "; no master is known, so this is as the nodes last said";
  const verb = running === 1 ? "runs" : "run";
  const waits = waiting.length === 1 ? "waits" : "wait";
  return [
    `${running} ${verb}, ${waiting.length} ${waits}, ${stopped} stopped${unknown}`,
    ...waiting.map(({ vm, why }) => (why.startsWith(vm) ? why : `${vm}: ${why}`)),
    ...notRelocatable.map(({ vm, why }) => `${vm} is relocatable ${why}`),
  ];
}
