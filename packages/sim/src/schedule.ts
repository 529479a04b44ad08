import type { NodeId } from "@quorate/contracts";

/**
 * Faults and orders as data: a run is its options, its schedule and the seed of the background noise, so that a
 * schedule can be shrunk, printed, read from a file and replayed. Every instant and duration is of real time, in
 * microseconds from the start of the run; hosts see their own clocks.
 */
export const PROCESS_NAMES = ["membership", "evaluator", "actuator", "distributor"] as const;
export type ProcessName = (typeof PROCESS_NAMES)[number];

/**
 * A node by its id, or by what it is when the action comes: `master:a` is whoever answers for the address then (or
 * did last), `slave:a` the lowest other one that is up. The letter binds: every action of one schedule that says
 * `master:a` means the node that the first of them met.
 */
export type NodeRef = NodeId | `master:${string}` | `slave:${string}`;

/** One process, or all four of a host. */
export type Target = { node: NodeRef; process: ProcessName | "all" };

/**
 * Where in a process something strikes: an effect by its name (see README.md), or `any`. The first `skip` matches
 * pass unharmed.
 */
export type TrapPoint = { effect: string; side: "before" | "after"; skip: number };

export type FaultKind =
  /** SIGKILL; the supervisor starts it again after `downUs`. */
  | ({ kind: "crash"; downUs: number } & Target)
  /** SIGSTOP and SIGCONT. */
  | ({ kind: "pause"; forUs: number } & Target)
  /** Every input takes this much longer. */
  | ({ kind: "slow"; forUs: number; eachUs: number } & Target)
  /** Strikes between two effects of one step. `all` is not possible: effects belong to one process. */
  | {
      kind: "trap";
      node: NodeRef;
      process: ProcessName;
      point: TrapPoint;
      strike: "crash" | "pause";
      forUs: number;
    }
  /** The host loses its power; it boots again after `downUs` with another boot id. */
  | { kind: "power-cut"; node: NodeRef; downUs: number }
  /** The host's kernel stands still and CLOCK_MONOTONIC with it. Outside of the assumptions: never generated. */
  | { kind: "suspend-host"; node: NodeRef; forUs: number }
  /** Both directions between the node and all others, or one of them. All rings unless some are named. */
  | {
      kind: "cut";
      node: NodeRef;
      direction: "both" | "in" | "out";
      peers: NodeRef[] | "all";
      rings?: number[];
      forUs: number;
    }
  /** The switch of every ring is down for everybody. */
  | { kind: "switch-down"; forUs: number }
  /** Nodes of `side` and the others do not hear each other. */
  | { kind: "partition"; side: NodeRef[]; forUs: number }
  /** Adds to the loss of every link, or of those of one node. */
  | { kind: "loss"; node?: NodeRef; rate: number; forUs: number }
  /** Datagrams take up to this much longer, each its own: late and reordered. */
  | { kind: "network-delay"; node?: NodeRef; upToUs: number; forUs: number }
  /** Recorded datagrams of a sender come again to everybody it is not cut from. */
  | { kind: "replay"; from: NodeRef; count: number }
  /** The local nats-server dies: what is under way on it is lost, what is said meanwhile too. */
  | { kind: "bus-loss"; node: NodeRef; downUs: number }
  /** Local messages take up to this much longer, in order per pair of processes. */
  | { kind: "bus-slow"; node: NodeRef; upToUs: number; forUs: number }
  | { kind: "disk-full"; node: NodeRef; forUs: number }
  /** A write takes up to this much longer. */
  | { kind: "disk-slow"; node: NodeRef; upToUs: number; forUs: number }
  /**
   * The state folder loses files, and the processes that read them are killed. `register`: the documents go back to
   * the first one, as from a backup. Skipped while another node lacks its state: a majority must be left.
   */
  | { kind: "lose-state"; node: NodeRef; what: "evaluator" | "register" | "incarnation"; downUs: number }
  /** Commands given to the kernel are carried out up to this much later. */
  | { kind: "kernel-slow"; node: NodeRef; upToUs: number; forUs: number }
  | { kind: "flush-ruleset"; node: NodeRef }
  | { kind: "remove-address"; node: NodeRef }
  /** Another machine answers for the address, and says so. */
  | { kind: "foreign-claim"; forUs: number }
  /** The interface of the address has no carrier; heartbeats of ring 0 go over it too. */
  | { kind: "no-carrier"; node: NodeRef; forUs: number }
  | { kind: "service-crash"; node: NodeRef }
  /** The managed service cannot be started. */
  | { kind: "service-broken"; node: NodeRef; forUs: number }
  /** The wall clock of one host is stepped; only incarnations look at it. */
  | { kind: "wall-step"; node: NodeRef; byMs: number }
  /** A machine's guest ends, wherever it runs. Machines are named vm1, vm2, … */
  | { kind: "vm-end"; vm: string }
  /** Operator: move a machine live. */
  | { kind: "vm-move"; vm: string; to: NodeRef }
  /** One host, or all of them, cannot reach the shared storage. */
  | { kind: "storage-gone"; node: NodeRef | "all"; forUs: number }
  /** Operator: hand the mastership to this node. */
  | { kind: "move"; target: NodeRef }
  /** Operator: stop Quorate on this node in good order; it is started again after `downUs`. */
  | { kind: "drain"; node: NodeRef; downUs: number }
  /** Operator: a new configuration. Tried again while it is refused, for ten seconds. */
  | { kind: "set-prio"; node: NodeRef; prio: number }
  | { kind: "set-votes"; node: NodeRef; votes: number }
  /** A host that is not in the node list yet is initialised with the newest document and added. */
  | { kind: "add-node"; node: NodeId; prio: number }
  /** The host is switched off, and taken off the list once it is fenced. */
  | { kind: "remove-node"; node: NodeRef }
  /**
   * No fault: what a quiet story has come to by now, or LIVENESS is broken. Who holds the address; who, beside it,
   * is in the view of whoever holds it.
   */
  | { kind: "expect"; holder: NodeRef; members: NodeRef[] };

export type FaultAction = { atUs: number } & FaultKind;

/** What goes wrong all the time, whatever the schedule says. Fractions of messages. */
export type Noise = {
  loss: number;
  duplicate: number;
  /** Delayed by up to three tokens. */
  late: number;
  /** An older datagram of the same sender comes again. */
  replay: number;
  /** Local messages delayed by up to T/2. */
  busLate: number;
};

export const QUIET: Noise = { loss: 0, duplicate: 0, late: 0, replay: 0, busLate: 0 };

export type Schedule = {
  noise: Noise;
  /** So many virtual machines, on shared storage; none when absent. */
  machines?: number;
  /** Sorted by time. Those after the end of the safety phase do not happen. */
  actions: FaultAction[];
};
