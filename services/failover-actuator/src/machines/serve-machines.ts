import { type NodeId, QuorateError, type Reason, type VmRecord } from "@quorate/contracts";
import { planWithout } from "@quorate/core-failover";
import { fenceAgentProblem } from "@quorate/host";
import { type Bus, type BusSubscription, monotonicUs } from "@quorate/runtime";
import { confirmOff, masterTerm } from "./confirm-off.ts";
import { relocatabilityOf, storagesOf } from "./definitions.ts";
import { discover } from "./discover.ts";
import type { MachineRoom } from "./machine-room.ts";
import { refuseClash, refuseLateName, refuseRival } from "./refuse-clash.ts";

type Wish = VmRecord["wanted"];

/** What operators and other nodes can ask of a node's machines. */
export function serveMachines(bus: Bus, room: MachineRoom): BusSubscription[] {
  const service = "failover-actuator";
  const inTurn = oneByOne();
  return [
    bus.serve(service, "machines", () => describe(room)),
    bus.serve(service, "machine-discover", () => discover(room)),
    bus.serve(service, "machine-define", async ({ xml, prio, wanted }) => {
      const { vm, obstacles, rivals } = await inTurn(() => define(room, xml, prio, wanted));
      if (rivals !== null) await refuseRival(room, vm, rivals);
      return { vm, obstacles };
    }),
    bus.serve(service, "machine-wish", ({ vm, ...wishes }) => wish(room, vm, wishes)),
    bus.serve(service, "machine-move", ({ vm, to }) => move(room, vm, to)),
    bus.serve(service, "machine-definition", async ({ digest }) => {
      const { xml } = await room.definitions.get(digest, []);
      return { xml };
    }),
    bus.serve(service, "machine-confirm-off", ({ node }) => confirmOff(bus, room, node)),
    bus.serve(service, "machine-plan", ({ down }) => planFor(room, down)),
  ];
}

function describe(room: MachineRoom) {
  const { host, relocator } = room.machines;
  const own = relocator.reports[host.config.node] ?? null;
  const records = Object.values(host.vms).flatMap(({ record }) => record ?? []);
  return {
    report: host.copiesSeenAtUs === null ? null : own,
    reports: room.reports,
    table: Object.values(relocator.reign?.table ?? {}).map(
      ({ vm, owner, placement, moving, leavingFor }) => ({
        vm,
        owner,
        placement,
        movingTo: moving?.to ?? leavingFor,
      }),
    ),
    blocked: Object.entries(relocator.blocked).map(([vm, reason]) => ({ vm, reason })),
    refusedMoves: Object.entries(relocator.reign?.refusals ?? {}).map(([vm, { to, why }]) => ({
      vm,
      to,
      why,
    })),
    obstacles: records.flatMap(({ vm, definition }) => {
      const obstacles = room.definitions.peek(definition)?.meaning.obstacles ?? [];
      return obstacles.length === 0 ? [] : [{ vm, obstacles: [...obstacles] }];
    }),
    powerDevices: room.powerDevices.map((device) => device.node),
    offProofs: Object.entries(relocator.reign?.proofs ?? {}).map(([node, { witness, atUs }]) => ({
      node: Number(node),
      witness,
      agoMs: Math.max(0, Math.round((monotonicUs() - atUs) / 1000)),
    })),
    offAttempts: Object.entries(relocator.reign?.attempts ?? {}).map(([node, { failures, why }]) => ({
      node: Number(node),
      failures,
      why,
    })),
    watchdog: watchdogOf(room),
    problems: [
      ...problemsOf(room),
      ...watchdogProblems(room),
      ...room.storages.problems,
      ...deviceProblems(room),
    ],
  };
}

function watchdogOf({ machines: { host }, watchdogTimeoutMs, watchdogProblem }: MachineRoom) {
  if (host.watchdog === null && watchdogProblem !== null && watchdogTimeoutMs !== null)
    return { timeoutMs: watchdogTimeoutMs, state: "missing" as const };
  const timeoutUs = host.watchdog?.timeoutUs ?? host.config.watchdogUs;
  if (timeoutUs === null) return null;
  const state = host.starving ? ("starving" as const) : ("armed" as const);
  return { timeoutMs: timeoutUs / 1000, state: host.watchdog === null ? ("idle" as const) : state };
}

function watchdogProblems({ watchdogProblem: problem, machines: { host } }: MachineRoom): Reason[] {
  // What was tried, and why it failed, is said by the attempt.
  const isTried = Object.keys(host.troubles).some((name) => name.startsWith("watchdog/"));
  if (problem === null || isTried) return [];
  return [
    { code: problem.code, message: `${problem.message} ${problem.hint}`, facts: { subject: "watchdog" } },
  ];
}

/** What does not succeed at present, in the order of the steps' names. */
function problemsOf(room: MachineRoom): Reason[] {
  return Object.entries(room.machines.host.troubles)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([subject, { error, failures }]) => ({
      code: error.code,
      message: `${machineOf(subject)}${error.message} ${error.hint}`,
      facts: { subject, failures },
    }));
}

/** The machine that a step was about, to be put before what it came to. */
function machineOf(subject: string): string {
  const vm = /^(?:copy|storage|cancel):([^/]+)\//.exec(subject)?.[1];
  return vm === undefined ? "" : `${vm}: `;
}

/** Of this host, as if it led: said before a host has to be switched off. */
function deviceProblems(room: MachineRoom): Reason[] {
  return room.powerDevices.flatMap((device) => {
    const error = fenceAgentProblem(device);
    if (error === null) return [];
    const message = `The power device of node ${device.node} cannot be used from here: ${error.message} ${error.hint}`;
    return [{ code: error.code, message, facts: { subject: `power-device/${device.node}` } }];
  });
}

/** Two at once would not see each other: each is compared with what was taken in before it. */
function oneByOne() {
  let last: Promise<unknown> = Promise.resolve();
  return <Answer>(act: () => Promise<Answer>): Promise<Answer> => {
    const turn = last.then(act);
    last = turn.catch(() => undefined);
    return turn;
  };
}

/** Answers with the digest that others' records are to be compared with, where the machine is new. */
async function define(room: MachineRoom, xml: string, prio: number | null, wanted: Wish | null) {
  const { host } = room.machines;
  const { digest, meaning } = await room.definitions.add(xml);
  const { name: vm, uuid, obstacles } = meaning;
  const after = await refuseClash(room, meaning);
  const kept = host.vms[vm]?.record ?? null;
  // What was given up and is defined again begins anew.
  const known = kept?.wanted === "undefined" ? null : kept;
  const copy = host.vms[vm]?.copy ?? null;
  if (known !== null && copy !== null) await refuseAnotherUser(room, known, uuid);
  if (known === null && copy !== null) {
    throw new QuorateError(
      "MACHINE_BUSY",
      `${vm} runs here, started by somebody else: no gate holds what it was started with.`,
      `Shut it down (virsh shutdown ${vm}), then define it again: it is started anew.`,
    );
  }
  room.holder.hold(vm, meaning);
  await room.holder.load();
  const defined = await room.hypervisor.definitions();
  if (defined.some(({ name, autostart }) => name === vm && autostart))
    await room.hypervisor.disableAutostart(vm);
  // From here to the record there is no pause in which another's could arrive.
  if (known === null && after === null) refuseLateName(room, vm);
  room.machines.toHost({
    kind: "define",
    after,
    record: {
      vm,
      definition: digest,
      memoryMib: meaning.memoryMib,
      vcpus: meaning.vcpus,
      prio: prio ?? known?.prio ?? 0,
      wanted: wanted ?? known?.wanted ?? "running",
      ...relocatabilityOf(meaning),
      storages: storagesOf(meaning),
    },
  });
  if (after !== null && room.machines.host.vms[vm]?.record?.definition !== digest) {
    const message = `${vm} is not taken in yet: this host is still at what it was told of it before.`;
    throw new QuorateError("MACHINE_BUSY", message, "Try again in a moment.");
  }
  return { vm, obstacles: [...obstacles], rivals: known === null ? digest : null };
}

/** By its UUID the kernel tells a running machine's connections: with another one they would be shut off. */
async function refuseAnotherUser(room: MachineRoom, { vm, definition, started }: VmRecord, uuid: string) {
  const { meaning } = await room.definitions.get(started?.definition ?? definition, room.otherNodes());
  if (meaning.uuid === uuid) return;
  throw new QuorateError(
    "MACHINE_BUSY",
    `${vm} runs with the UUID ${meaning.uuid}, not ${uuid}: the gates know it by that.`,
    `Keep the UUID, or stop it first: quorate vm stop ${vm}`,
  );
}

interface Wishes {
  readonly wanted: Wish | null;
  readonly prio: number | null;
  readonly move: VmRecord["move"] | null;
}

function wish(room: MachineRoom, vm: string, { wanted, prio, move }: Wishes) {
  const found = room.inventory().find((each) => each.record.vm === vm);
  const record = room.machines.host.vms[vm]?.record ?? null;
  if (record === null || record.wanted === "undefined" || found?.node !== room.machines.host.config.node) {
    const isKnown = found !== undefined && found.record.wanted !== "undefined";
    const where = isKnown ? `node ${found.node}'s` : "nobody's";
    throw new QuorateError(
      "MACHINE_UNKNOWN",
      `${vm} is not this node's but ${where}.`,
      "See: quorate vm list",
    );
  }
  const { placement: _placement, revision: _revision, released: _released, ...kept } = record;
  room.machines.toHost({
    kind: "define",
    record: {
      ...kept,
      wanted: wanted ?? record.wanted,
      prio: prio ?? record.prio,
      ...(move === null ? {} : { move }),
    },
  });
  return {};
}

function move(room: MachineRoom, vm: string, to: NodeId) {
  const term = masterTerm(room);
  const entry = room.machines.relocator.reign?.table[vm];
  if (entry === undefined) {
    throw new QuorateError("MACHINE_UNKNOWN", `No machine ${vm} is under care.`, "See: quorate vm list");
  }
  if (entry.owner === to) {
    throw new QuorateError("MACHINE_BUSY", `${vm} is on node ${to} already.`, "Nothing has to be done.");
  }
  if (entry.moving !== null) {
    const message = `${vm} is being moved to node ${entry.moving.to}.`;
    throw new QuorateError("MACHINE_BUSY", message, "Wait until that has ended: quorate vm show");
  }
  if (!room.reports.some(({ node }) => node === to)) {
    throw new QuorateError("NODE_UNKNOWN", `Node ${to} has not said what it has.`, "See: quorate nodes");
  }
  room.machines.toMaster({ kind: "move", vm, to });
  return { term };
}

function planFor(room: MachineRoom, down: readonly NodeId[]) {
  const term = masterTerm(room);
  return { term, ...planWithout(room.machines.relocator, down, monotonicUs()) };
}
