import type { ConfigRef, NodeId, PeerState, Reason, Role } from "@quorate/contracts";
import { degradation } from "./degradation.ts";
import { type Snapshot, storedRef } from "./snapshot.ts";
import { machineGuarantees, type MachinesStatus, machinesStatus } from "./status-machines.ts";

/** One line of `quorate nodes`. */
export interface NodeLine {
  id: NodeId;
  address: string;
  name: string | null;
  /** `joined`, `suspect`, `one-way`, `failed`, `left`, `unknown`; of this node also `suspended`. */
  state: PeerState | "suspended" | "unknown";
  letter: "M" | "S" | "-";
  prio: number;
  votes: number;
  isLocal: boolean;
  /** Counts among those that corosync calls the membership. */
  isMember: boolean;
}

/** `quorate status --json`. Ages in milliseconds; null where nothing is known. */
export interface Status {
  summary: string;
  node: { id: NodeId; address: string | null; name: string | null; bootId: string | null };
  cluster: string;
  role: Role | "unknown";
  leader: NodeId | null;
  term: number | null;
  quorate: "yes" | "no" | "pending" | "unknown";
  votes: { total: number; quorum: number; present: number } | null;
  view: { term: number; number: number; members: NodeId[] } | null;
  out: boolean;
  amnesic: boolean;
  leases: { masterMs: number | null; nodeMs: number | null; promise: { to: NodeId; forMs: number } | null };
  fences: Array<{ node: NodeId; verdict: "yes" | "pending" }>;
  /** At the master: nodes outside the view; `forMs` null: not joined, so the wait has not begun. */
  quarantines: Array<{ node: NodeId; removals: number; waitMs: number; forMs: number | null }>;
  configuration: {
    version: number | null;
    term: number | null;
    digest: string | null;
    /** What this node has stored is known to be committed. */
    committed: boolean;
    committedRef: ConfigRef | null;
    note: string | null;
    source: Snapshot["configSource"];
  };
  nodes: NodeLine[];
  peers: Array<{
    id: NodeId;
    address: string;
    state: PeerState | "unknown";
    sinceMs: number | null;
    lastHeardMs: number | null;
    config: ConfigRef | null;
    links: Array<{ ring: number; hears: boolean; heard: boolean; lossPercent: number }>;
    reason: string | null;
  }>;
  /** Heartbeats that were dropped at the door since membership started, by why; null while it is silent. */
  refused: Record<string, number> | null;
  clusterIp: {
    addresses: Array<{ address: string; prefixLength: number; device: string }>;
    /** Here, on this node. */
    state: "absent" | "present" | "unknown";
    gate: "shut" | "open" | "unknown";
  };
  service: { state: string; ports: number[] };
  /** Null without a section `machines`, and while nothing is known of them. */
  machines: MachinesStatus | null;
  disarmedUntil: string | null;
  degraded: Reason[];
  guarantees: Array<{ name: string; inForce: boolean; detail: string }>;
  reason: Reason | null;
  /** Age of what each part was said from; null: it did not answer. */
  ages: Record<"quorum" | "peers" | "report" | "configuration" | "evaluatorFile", number | null>;
}

export function statusOf(snapshot: Snapshot): Status {
  const { config, nodeId, nowUs } = snapshot;
  const quorum = snapshot.quorum.value;
  const durable = snapshot.durable.value;
  const report = snapshot.report.value;
  const self = config?.nodes.find((node) => node.id === nodeId);
  const stored = storedRef(snapshot);
  const committed = snapshot.distributor.value?.committed ?? quorum?.committed ?? null;
  const leftMs = (untilUs: number) => (untilUs === 0 ? null : Math.round((untilUs - nowUs) / 1000));
  const view = quorum?.view ?? durable?.view ?? null;
  const leader = quorum?.leader ?? null;
  const status: Status = {
    summary: "",
    node: {
      id: nodeId,
      address: self?.addresses[0] ?? null,
      name: self?.name ?? null,
      bootId: quorum?.bootId ?? durable?.bootId ?? null,
    },
    cluster: snapshot.clusterName,
    role: quorum?.role ?? "unknown",
    leader,
    term: quorum?.term ?? durable?.term ?? null,
    quorate: quorum?.quorate ?? "unknown",
    votes: quorum?.votes ?? null,
    view:
      view === null
        ? null
        : { term: view.term, number: view.number, members: view.members.map(({ node }) => node) },
    out: quorum?.out ?? durable?.out ?? false,
    amnesic: quorum?.amnesic ?? durable?.amnesic ?? false,
    leases: {
      masterMs: quorum === null ? null : leftMs(quorum.masterLeaseEndUs),
      nodeMs: quorum === null ? null : leftMs(quorum.nodeLeaseEndUs),
      promise:
        quorum === null || quorum.promise === null || quorum.promise.untilUs <= nowUs
          ? null
          : { to: quorum.promise.to, forMs: Math.round((quorum.promise.untilUs - nowUs) / 1000) },
    },
    fences: (quorum?.fences ?? []).map(({ node, verdict }) => ({ node, verdict })),
    quarantines: (quorum?.quarantines ?? []).map(({ node, removals, waitUs, untilUs }) => ({
      node,
      removals,
      waitMs: Math.round(waitUs / 1000),
      forMs: untilUs === null ? null : Math.max(0, Math.round((untilUs - nowUs) / 1000)),
    })),
    configuration: {
      version: stored?.version ?? null,
      term: stored?.term ?? null,
      digest: stored?.digest ?? null,
      committed: stored !== null && committed !== null && committed.digest === stored.digest,
      committedRef: committed,
      note: snapshot.distributor.value?.fileNote?.message ?? null,
      source: snapshot.configSource,
    },
    nodes: nodeLines(snapshot, leader),
    peers: peerLines(snapshot),
    refused: refusals(snapshot),
    clusterIp: {
      addresses: (config?.clusterIps ?? []).map(({ address, prefixLength, device }) => ({
        address,
        prefixLength,
        device,
      })),
      state: report?.address ?? "unknown",
      gate: report?.gate ?? "unknown",
    },
    service: { state: report?.service ?? "unknown", ports: config?.ihttpdPorts ?? [] },
    machines: machinesStatus(snapshot.machines),
    disarmedUntil: quorum?.disarmedUntil ?? config?.disarmedUntil ?? null,
    degraded: [],
    guarantees: [...(report?.guarantees ?? []), ...machineGuarantees(snapshot.machines)],
    reason: quorum?.reason ?? null,
    ages: {
      quorum: snapshot.quorum.ageMs,
      peers: snapshot.peers.ageMs,
      report: snapshot.report.ageMs,
      configuration: snapshot.configAgeMs,
      evaluatorFile: snapshot.durable.ageMs,
    },
  };
  status.degraded = degradation(snapshot, status);
  status.summary = summarize(status);
  return status;
}

function nodeLines(snapshot: Snapshot, leader: NodeId | null): NodeLine[] {
  const peers = snapshot.peers.value?.message.peers ?? null;
  const role = snapshot.quorum.value?.role ?? null;
  return (snapshot.config?.nodes ?? []).map((node): NodeLine => {
    const isLocal = node.id === snapshot.nodeId;
    const peerState = peers?.find((peer) => peer.node === node.id)?.state;
    const state = isLocal ? localState(role) : (peerState ?? "unknown");
    const isThere = state === "joined" || state === "suspended" || state === "suspect";
    return {
      id: node.id,
      address: node.addresses[0] ?? "",
      name: node.name ?? null,
      state,
      letter: node.id === leader ? "M" : isThere ? "S" : "-",
      prio: node.prio,
      votes: node.votes,
      isLocal,
      isMember: (isLocal && role !== null) || state === "joined" || state === "suspect",
    };
  });
}

/** This node's own state; a node whose evaluator does not answer says nothing of itself. */
function localState(role: Role | null): "joined" | "suspended" | "unknown" {
  if (role === null) return "unknown";
  return role === "suspended" ? "suspended" : "joined";
}

function peerLines(snapshot: Snapshot): Status["peers"] {
  const { nowUs } = snapshot;
  const known = snapshot.peers.value?.message.peers ?? [];
  const agoMs = (atUs: number) => Math.max(0, Math.round((nowUs - atUs) / 1000));
  return (snapshot.config?.nodes ?? [])
    .filter((node) => node.id !== snapshot.nodeId)
    .map((node) => {
      const peer = known.find((candidate) => candidate.node === node.id);
      return {
        id: node.id,
        address: node.addresses[0] ?? "",
        state: peer?.state ?? "unknown",
        sinceMs: peer === undefined ? null : agoMs(peer.sinceUs),
        lastHeardMs: peer === undefined || peer.lastHeardUs === null ? null : agoMs(peer.lastHeardUs),
        config: peer?.config ?? null,
        links: peer?.links ?? [],
        reason: peer?.reason.message ?? null,
      };
    });
}

function refusals(snapshot: Snapshot): Status["refused"] {
  const counters = snapshot.peers.value?.counters;
  if (counters === undefined) return null;
  const names = Object.keys(counters).filter((name) => name.startsWith("refused_"));
  return Object.fromEntries(
    names
      .sort()
      .map((name) => [name, counters[name] ?? 0] as const)
      .filter(([, count]) => count > 0),
  );
}

function summarize(status: Status): string {
  const { cluster } = status;
  const nameOf = (id: NodeId) => {
    const address = status.nodes.find((node) => node.id === id)?.address;
    return address === undefined ? `node ${id}` : `node ${id} (${address})`;
  };
  const addresses = status.clusterIp.addresses.map(({ address }) => address).join(" and ");
  const joined = status.nodes.filter((node) => node.state === "joined" || node.state === "suspended").length;
  const known = status.ages.peers === null ? "" : `, ${joined} of ${status.nodes.length} nodes joined`;
  const wrong =
    status.degraded.length === 0
      ? "nothing is degraded"
      : `${status.degraded.length} thing${status.degraded.length === 1 ? " is" : "s are"} degraded`;
  if (status.ages.quorum === null) {
    const term = status.term === null ? "" : ` (term ${status.term} when last written)`;
    return `${cluster}: node ${status.node.id} does not say what it is${term}; ${wrong}.`;
  }
  if (status.role === "suspended") {
    return `${cluster}: node ${status.node.id} has no quorum and is suspended in term ${status.term}${known}; ${wrong}.`;
  }
  if (status.leader === null) {
    return `${cluster}: no master is known in term ${status.term}${known}; ${wrong}.`;
  }
  const who =
    status.leader === status.node.id ? `${nameOf(status.leader)}, this one,` : nameOf(status.leader);
  const here = status.leader === status.node.id;
  const answers = status.clusterIp.state === "present" && status.clusterIp.gate === "open";
  const verb = here && !answers ? "but does not hold" : "and holds";
  const holds = addresses === "" ? "" : ` ${verb} ${addresses}`;
  return `${cluster}: ${who} is master of term ${status.term}${holds}${known}; ${wrong}.`;
}
