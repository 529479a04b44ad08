import type { NodeId, Reason } from "@quorate/contracts";
import { type KnownMachines, machineLines, type MachineLine, proofNeeded } from "./machine-lines.ts";
import type { Said } from "./snapshot.ts";
import { type LostStorage, lostStorages } from "./status-storages.ts";
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
  readonly lostStorages: readonly LostStorage[];
  readonly masterKnown: boolean;
  /** Hosts that a power device can switch off. */
  readonly powerDevices: readonly NodeId[];
  /** At the master: what is known of the power of hosts that are out. */
  readonly power: readonly { readonly node: NodeId; readonly text: string }[];
  /** Of this host; null: none is configured. */
  readonly watchdog: KnownMachines["watchdog"] | null;
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
    lostStorages: lostStorages(around.master ?? around.own),
    masterKnown: around.master !== null,
    powerDevices: around.own.powerDevices ?? [],
    power: powerOf(around.master),
    watchdog: around.own.watchdog ?? null,
  };
}

function powerOf(master: KnownMachines | null): MachinesStatus["power"] {
  const proved = (master?.offProofs ?? []).map(({ node, witness, agoMs }) => {
    const whose = witness === "operator" ? "on an operator's word" : "by its power device";
    return { node, text: `node ${node} is taken for off ${whose}, ${Math.round(agoMs / 1000)} s ago` };
  });
  const asked = (master?.offAttempts ?? []).map(({ node, failures, why }) => {
    const so = why === null ? "" : `; it failed ${failures} times, the last time: ${why}`;
    return { node, text: `node ${node} is being switched off by its power device${so}` };
  });
  return [...proved, ...asked];
}

function whyNot({ vm, state, blocked, node, troubles }: MachineLine): string {
  if (blocked !== null) return blocked;
  if (node === null) return `${vm} is not placed yet.`;
  return `${vm} is ${state} on node ${node}${troubles.map((trouble) => `: ${trouble}`).join("")}.`;
}

function hindranceOf(line: MachineLine): { vm: string; why: string }[] {
  const { vm, storage, obstacles } = line;
  if (storage === "local") {
    const why = obstacles.length === 0 ? "it lies on a disk of its host" : obstacles.join("; ");
    return [{ vm, why: `not at all: ${why}` }];
  }
  const proof = proofNeeded(line);
  return proof === null ? [] : [{ vm, why: `not by lease: ${obstacles.join("; ")}; ${proof}` }];
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
  return [{ name: "machines' gates", inForce: why === undefined, detail: why ?? held }, besideTheGates(own)];
}

const NOT_HELD = "Local disks, macvtap, host devices and the kernel's own storage clients are not held";

/** In force where every host's device can be used, as far as this node can tell; a watchdog is each machine's own. */
function besideTheGates(own: KnownMachines | null): Guarantee {
  const devices = own?.powerDevices ?? [];
  const without = (own?.reports ?? []).map(({ node }) => node).filter((node) => !devices.includes(node));
  const name = "machines beside the gates";
  if (devices.length === 0 && own?.watchdog != null) {
    const seconds = own.watchdog.timeoutMs / 1000;
    const detail = `${NOT_HELD}: where they were started under a watchdog it resets their silent host, and ${3 * (seconds + 1)} s and a token after the fence they start elsewhere; the others wait for your word.`;
    return { name, inForce: false, detail };
  }
  if (devices.length === 0) {
    const detail = `${NOT_HELD}, and no host has a power device: they wait for your word (quorate node confirm-off).`;
    return { name, inForce: false, detail };
  }
  const broken = own?.problems.some(({ facts }) => String(facts?.["subject"]).startsWith("power-device/"));
  const which = `node ${devices.join(", ")}`;
  const rest = without.length === 0 ? "" : `, and not those of node ${without.join(", ")}`;
  const doubt = broken === true ? "; from here not all of them can be used" : "";
  return {
    name,
    inForce: without.length === 0 && broken !== true,
    detail: `${NOT_HELD}; power devices switch off the hosts of ${which}${rest}${doubt}. What lies on a local disk waits for its host.`,
  };
}

const WATCHDOG_WORDS = {
  armed: (ms: number) => `the watchdog of this host is armed, with ${ms / 1000} s`,
  missing: () => "the watchdog of this host CANNOT BE USED",
  starving: (ms: number) => `the watchdog of this host IS NOT FED and resets it within ${ms / 1000} s`,
};

/** The part of the text; empty where there is nothing to say. */
export function machineRows(machines: MachinesStatus | null): string[] {
  if (machines === null) return [];
  const { running, waiting, stopped, notRelocatable, masterKnown, powerDevices, power, watchdog } = machines;
  const unknown = masterKnown ? "" : "; no master is known, so this is as the nodes last said";
  const verb = running === 1 ? "runs" : "run";
  const waits = waiting.length === 1 ? "waits" : "wait";
  return [
    `${running} ${verb}, ${waiting.length} ${waits}, ${stopped} stopped${unknown}`,
    ...waiting.map(({ vm, why }) => (why.startsWith(vm) ? why : `${vm}: ${why}`)),
    ...notRelocatable.map(({ vm, why }) => `${vm} is relocatable ${why}`),
    ...(powerDevices.length === 0 ? [] : [`power devices: node ${powerDevices.join(", ")}`]),
    ...power.map(({ text }) => text),
    ...(watchdog == null || watchdog.state === "idle"
      ? []
      : [WATCHDOG_WORDS[watchdog.state](watchdog.timeoutMs)]),
  ];
}
