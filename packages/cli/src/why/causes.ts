import type { NodeId } from "@quorate/contracts";
import type { JournalRow } from "@quorate/journal-file";
import { clock, list, seconds } from "./phrases.ts";
import {
  around,
  durationUs,
  isFirstOfBoot,
  isSameBoot,
  masterBefore,
  numberFact,
  peerOf,
  roleAfter,
  STORY_US,
  textFact,
} from "./rows.ts";

export interface Cause {
  /** A stable word for programs: what kind of thing it was. */
  kind: string;
  /** Goes on after "because". */
  phrase: string;
  rows: JournalRow[];
}

/** What may be noticed a little after what followed from it: a frozen process notices last. */
const NOTICED_LATE_US = 1_500_000;

/** Why the headline came about, as far as this node's journal can tell; null when nothing in it explains it. */
export function causeOf(rows: readonly JournalRow[], headline: JournalRow): Cause | null {
  const near = around(rows, headline, STORY_US, NOTICED_LATE_US).filter(
    ({ event }) => event !== "failover.problem_gone",
  );
  const own = () => ownTrouble(near, headline);
  const role = roleAfter(headline);
  if (isFirstOfBoot(rows, headline)) {
    const start = ownStart(rows, headline);
    if (start !== null) return start;
  }
  if (role === "master") {
    const before = masterBefore(rows, headline);
    if (before === headline.node) {
      return own() ?? afterSuspension(rows, headline) ?? ownStart(rows, headline);
    }
    return (
      ofOldMaster(rows, near, headline, before) ??
      ownStart(rows, headline) ??
      own() ??
      afterSuspension(rows, headline)
    );
  }
  if (role !== null) return own() ?? ofOthers(near, headline) ?? ownStart(rows, headline);
  if (headline.event === "quorum.master_changed") {
    const before = masterBefore(rows, headline);
    if (before === headline.node) return own() ?? ofOthers(near, headline);
    // Lost from sight and found again, or this node's evaluator was away: who is back may have fallen silent.
    if (before !== null && before === headline.new) return own() ?? ofPeer(rows, near, headline, before);
    return ofOldMaster(rows, near, headline, before) ?? own() ?? ownStart(rows, headline);
  }
  if (headline.event === "quorum.node_removed") {
    const peer = peerOf(headline);
    return peer === null ? null : ofPeer(rows, near, headline, peer);
  }
  if (headline.event === "membership.peer_state_changed") {
    const peer = peerOf(headline);
    return (
      own() ?? everybodyGone(near, headline) ?? (peer === null ? null : ofPeer(rows, near, headline, peer))
    );
  }
  if (headline.event === "quorum.quorum_changed" || headline.code === "MASTERSHIP_OVER") {
    return own() ?? ofOthers(near, headline);
  }
  if (headline.event === "quorum.handover_started" || headline.event === "failover.ability_changed") {
    return operator(near, headline) ?? carrier(near) ?? selfTold(headline);
  }
  return ofItself(near, headline) ?? own() ?? selfTold(headline);
}

/** A clock that was set, a full disk, a killed process: what else went wrong just then is not its cause. */
function ofItself(near: readonly JournalRow[], headline: JournalRow): Cause | null {
  if (headline.event === "node.process_restarted") return crashed(near) ?? killed(near);
  switch (headline.code) {
    case "CLOCK_STEPPED":
      return clockStep([headline]);
    case "DISK_REFUSED":
    case "DISK_FULL":
      return disk(near);
    case "DISK_NEARLY_FULL":
      return { kind: "disk-full", phrase: lower(headline.message), rows: [headline] };
    default:
      return null;
  }
}

/** Nobody led because this node, and perhaps all of them, had been suspended: that one's cause is this one's. */
function afterSuspension(rows: readonly JournalRow[], headline: JournalRow): Cause | null {
  const before = rows.slice(0, rows.indexOf(headline));
  const lapsed = before.findLast((row) => roleAfter(row) === "suspended" && isSameBoot(row, headline));
  if (lapsed === undefined || lapsed.old === null) return null;
  const cause = causeOf(rows, lapsed);
  if (cause === null) return null;
  const phrase = `a majority is joined again, after this node had been suspended at ${clock(lapsed.wallMs)} because ${cause.phrase}`;
  return { kind: cause.kind, phrase, rows: [...cause.rows, lapsed] };
}

/** Shorter stalls explain something only when nothing better does: on a busy host there are many. */
const SURE_STALL_MS = 1500;
const LONG_STALL_MS = 500;
const HIGH_PRESSURE_PERCENT = 20;

/** What went wrong on this host itself, the most fundamental first. */
function ownTrouble(near: readonly JournalRow[], headline: JournalRow): Cause | null {
  const link = carrier(near);
  const dead = killed(near);
  // A cable ends no process: one that ended after the link was lost is the later trouble, and an own one.
  const isOutdated = link !== null && (isBackBefore(near, link.rows, headline) || isLater(dead, link));
  return (
    kernelPaused(near) ??
    stopped(near, SURE_STALL_MS) ??
    (isOutdated ? null : link) ??
    disk(near) ??
    crashed(near) ??
    dead ??
    stopped(near, LONG_STALL_MS) ??
    busAway(near) ??
    filter(near) ??
    clockStep(near) ??
    operator(near, headline) ??
    link ??
    stopped(near, 0)
  );
}

function isLater(left: Cause | null, right: Cause): boolean {
  const [from] = left?.rows ?? [];
  const [than] = right.rows;
  return from !== undefined && than !== undefined && from.wallMs > than.wallMs;
}

/** Whether the link was there again by then: what was lost before that explains it only when nothing else does. */
function isBackBefore(
  near: readonly JournalRow[],
  lost: readonly JournalRow[],
  headline: JournalRow,
): boolean {
  const lostAtMs = lost[0]?.wallMs ?? headline.wallMs;
  return near.some(
    ({ code, message, wallMs }) =>
      code === "CARRIER" && message.endsWith("up.") && wallMs > lostAtMs && wallMs < headline.wallMs,
  );
}

function kernelPaused(near: readonly JournalRow[]): Cause | null {
  const row = near.findLast(({ code }) => code === "HOST_WAS_SUSPENDED");
  if (row === undefined) return null;
  const pauseMs = numberFact(row, "pauseMs") ?? 0;
  const phrase = `the kernel of this host stood still for ${seconds(pauseMs)} (suspended), which voids every lease`;
  return { kind: "kernel-paused", phrase, rows: [row] };
}

function stopped(near: readonly JournalRow[], atLeastMs: number): Cause | null {
  for (const [code, kind] of [
    ["PROCESS_FROZEN", "processes-frozen"],
    ["PROCESS_STARVED", "host-overloaded"],
    ["PROCESS_BUSY", "process-busy"],
  ] as const) {
    const rows = near.filter((row) => row.code === code && durationUs(row) >= atLeastMs * 1000);
    if (rows.length === 0) continue;
    const worst = rows.reduce((left, right) => (durationUs(right) > durationUs(left) ? right : left));
    const services = [...new Set(rows.map(({ service }) => service))].sort();
    const who =
      services.length > 1
        ? `the processes of this node (${list(services)})`
        : `the ${services[0]} of this node`;
    const long = seconds(durationUs(worst) / 1000);
    const from = clock(worst.wallMs - durationUs(worst) / 1000);
    const verb = services.length > 1 ? "were" : "was";
    const pressure = pressureText(worst);
    const phrases = {
      "processes-frozen": `${who} ${verb} frozen for ${long} from ${from} on (SIGSTOP, a frozen container, or the kernel blocked them${pressure})`,
      "host-overloaded": `${who} got no CPU for ${long} from ${from} on: the host is overloaded${pressure}`,
      "process-busy": `${who} ${verb} busy with one thing for ${long} from ${from} on`,
    };
    return { kind, phrase: phrases[kind], rows };
  }
  return null;
}

/** What the kernel said of the host's load then, where it is worth a word; empty when nothing is. */
function pressureText(row: JournalRow): string {
  const words = [
    ["cpuPressurePercent", "CPU"],
    ["memoryPressurePercent", "memory"],
    ["ioPressurePercent", "disk"],
  ].flatMap(([fact = "", name = ""]) => {
    const percent = numberFact(row, fact);
    return percent === null || percent < HIGH_PRESSURE_PERCENT ? [] : [`${name} ${Math.round(percent)} %`];
  });
  return words.length === 0 ? "" : `; pressure on the host: ${words.join(", ")}`;
}

function carrier(near: readonly JournalRow[]): Cause | null {
  const row = near.find(
    ({ code, message }) =>
      code === "NO_CARRIER" ||
      code === "INTERFACE_MISSING" ||
      (code === "CARRIER" && !message.endsWith("up.")),
  );
  if (row !== undefined) {
    return {
      kind: "no-carrier",
      phrase: `${lower(row.message)} since ${clock(row.wallMs)} (cable or switch port)`,
      rows: [row],
    };
  }
  const address = near.findLast(({ code }) => code === "ADDRESS_MISSING");
  return address === undefined
    ? null
    : { kind: "address-missing", phrase: lower(address.message), rows: [address] };
}

function disk(near: readonly JournalRow[]): Cause | null {
  const rows = near.filter(({ code }) => code === "DISK_REFUSED" || code === "DISK_FULL");
  const row = rows.find(({ service }) => service === "quorum-evaluator") ?? rows[0];
  return row === undefined ? null : { kind: "disk-refused", phrase: lower(row.message), rows };
}

/** A service that ended itself: a fault of ours. */
function crashed(near: readonly JournalRow[]): Cause | null {
  const rows = near.filter(({ code }) => code === "CRASHED");
  const [first] = rows;
  if (first === undefined) return null;
  const recording = textFact(first, "recording");
  const kept = recording === null ? "" : ` (recording: ${recording})`;
  const phrase = `${first.service} of this node ended by an error of its own at ${clock(first.wallMs)}: ${first.message}${kept}`;
  return { kind: "service-crashed", phrase, rows };
}

/** Nobody was there to see the processes end. */
const SUPERVISOR_ENDS: readonly string[] = [
  "node_start_after_kill",
  "supervisor_restarted",
  "SUPERVISOR_GONE",
];

/** Processes of ours that ended by themselves or by a signal. */
function killed(near: readonly JournalRow[]): Cause | null {
  const rows = near.filter(({ code }) => code === "process_exit");
  const [first] = rows;
  if (first === undefined) {
    const gone = near.find(({ code }) => SUPERVISOR_ENDS.includes(code));
    return gone === undefined ? null : { kind: "process-killed", phrase: lower(gone.message), rows: [gone] };
  }
  const names = [...new Set(rows.map((row) => textFact(row, "process") ?? "?"))];
  const how = textFact(first, "how") ?? "ended";
  const verb = names.length > 1 ? "were" : "was";
  const what = how.startsWith("killed by") ? `${verb} ${how}` : `ended (${how})`;
  const phrase = `${list(names)} of this node ${what} at ${clock(first.wallMs)}`;
  return { kind: "process-killed", phrase, rows };
}

function busAway(near: readonly JournalRow[]): Cause | null {
  const row = near.findLast(({ code }) => code === "BUS_AWAY");
  return row === undefined
    ? null
    : {
        kind: "bus-away",
        phrase: `the local NATS server stopped answering at ${clock(row.wallMs)}`,
        rows: [row],
      };
}

/** What others did to the kernel's state that is ours. */
function filter(near: readonly JournalRow[]): Cause | null {
  const row =
    near.find(({ code, event }) => code === "TABLES_LOST" && event === null) ??
    near.find(({ code }) => code === "TABLES_LOST");
  if (row !== undefined) return { kind: "ruleset-flushed", phrase: lower(row.message), rows: [row] };
  const changed = near.find(({ code }) => code === "CHANGED_BY_OTHERS");
  if (changed !== undefined) {
    return { kind: "changed-by-others", phrase: lower(changed.message), rows: [changed] };
  }
  const claim = near.find(({ event }) => event === "failover.foreign_claim_seen");
  return claim === undefined
    ? null
    : {
        kind: "foreign-claim",
        phrase: `another machine is at the address: ${lower(claim.message)}`,
        rows: [claim],
      };
}

function clockStep(near: readonly JournalRow[]): Cause | null {
  const row = near.find(({ code }) => code === "CLOCK_STEPPED");
  return row === undefined ? null : { kind: "clock-stepped", phrase: lower(row.message), rows: [row] };
}

const ORDERS: readonly string[] = ["MOVE_ORDERED", "PRIO_RAISED", "DRAINED", "DRAIN_ORDERED", "signal"];

function operator(near: readonly JournalRow[], headline: JournalRow): Cause | null {
  const heir = newMasterOf(headline);
  const row = near.find((each) => {
    if (!ORDERS.includes(each.code) || each.monoUs > headline.monoUs) return false;
    const named = each.code === "MOVE_ORDERED" ? numberFact(each, "node") : null;
    // The order of another move, which came to nothing, is not why this one leads.
    return heir === null || named === null || named === heir;
  });
  return row === undefined ? null : { kind: "operator", phrase: lower(row.message), rows: [row] };
}

/** Who leads from then on; null when the decision names nobody. */
function newMasterOf(row: JournalRow): NodeId | null {
  if (roleAfter(row) === "master") return row.node;
  return row.event === "quorum.master_changed" && typeof row.new === "number" ? row.new : null;
}

/** The old master's end, as this node saw it. */
function ofOldMaster(
  rows: readonly JournalRow[],
  near: readonly JournalRow[],
  headline: JournalRow,
  before: NodeId | null,
): Cause | null {
  const released = near.findLast(({ facts }) => typeof facts["releasedBy"] === "number");
  if (released !== undefined) {
    const by = numberFact(released, "releasedBy");
    const phrase = `node ${by} released the term in its favour (a hand-over: that node's journal says why)`;
    return { kind: "handed-over", phrase, rows: [released] };
  }
  return before === null ? null : ofPeer(rows, near, headline, before);
}

const PEER_ORDER: readonly string[] = ["failed", "left", "one-way", "suspect"];

function ofPeer(
  rows: readonly JournalRow[],
  near: readonly JournalRow[],
  headline: JournalRow,
  peer: NodeId,
): Cause | null {
  const isAbout = (row: JournalRow) => row.event === "membership.peer_state_changed" && peerOf(row) === peer;
  const about = near.filter(
    (row) => isAbout(row) && row.monoUs <= headline.monoUs + NOTICED_LATE_US && row.new !== "joined",
  );
  const rank = (row: JournalRow) => PEER_ORDER.indexOf(String(row.new));
  const worst = about.toSorted((left, right) => rank(left) - rank(right) || right.monoUs - left.monoUs)[0];
  if (worst !== undefined) return { ...peerPhrase(near, worst, peer), rows: about };
  // Lost longer ago, and not back since.
  const last = rows
    .slice(0, rows.indexOf(headline))
    .findLast((row) => isSameBoot(row, headline) && isAbout(row));
  if (last !== undefined && last.new !== "joined") {
    return { ...peerPhrase(around(rows, last, STORY_US, 0), last, peer), rows: [last] };
  }
  const removal = near.findLast((row) => row.event === "quorum.node_removed" && peerOf(row) === peer);
  if (removal === undefined) return null;
  const silentUs = numberFact(removal, "silentUs");
  if (removal.code !== "NODE_SILENT" || silentUs === null) {
    return { kind: "peer-removed", phrase: lower(removal.message), rows: [removal] };
  }
  const since = clock(removal.wallMs - silentUs / 1000);
  const phrase = `node ${peer} sent no new ballot after ${since} while its heartbeats went on: its quorum-evaluator or its bus is down, or frozen (that node's journal says which)`;
  return { kind: "evaluator-silent", phrase, rows: [removal] };
}

function peerPhrase(
  near: readonly JournalRow[],
  row: JournalRow,
  peer: NodeId,
): { kind: string; phrase: string } {
  switch (row.new) {
    case "left":
      return { kind: "peer-left", phrase: `node ${peer} was stopped in good order and said goodbye` };
    case "one-way":
      return {
        kind: "one-way",
        phrase: `node ${peer} is heard here but does not hear this node: frames from here to there are lost on the way (a one-way fault)`,
      };
    default: {
      const silentMs = numberFact(row, "silentMs");
      const rings = [
        ...new Set(
          near
            .filter(
              (other) =>
                other.event === "membership.link_state_changed" &&
                peerOf(other) === peer &&
                other.new === "down",
            )
            .map((other) => numberFact(other, "ring") ?? 0),
        ),
      ].toSorted((left, right) => left - right);
      const on = rings.length === 0 ? "" : ` on ring ${list(rings.map(String))}`;
      const last = silentMs === null ? "" : `: last heard ${clock(row.wallMs - silentMs)}${on}`;
      const by = textFact(row, "heardBy");
      const means =
        by === null
          ? "its host is dead, or its network is gone: from here both look alike"
          : `node ${by.replaceAll(",", ", ")} still heard it then, so its host lived and the path between the two is cut`;
      return { kind: "peer-silent", phrase: `node ${peer} fell silent${last}; ${means}` };
    }
  }
}

/** This node lost its lease: who of the others was lost, and what that says. */
function ofOthers(near: readonly JournalRow[], headline: JournalRow): Cause | null {
  const gone = everybodyGone(near, headline);
  if (gone !== null) return gone;
  const oneWay = near.filter((row) => row.event === "membership.peer_state_changed" && row.new === "one-way");
  if (oneWay.length > 0) {
    const peers = [...new Set(oneWay.map((row) => peerOf(row) ?? 0))].toSorted((left, right) => left - right);
    const phrase = `node ${list(peers.map(String))} ${peers.length > 1 ? "are" : "is"} heard but ${peers.length > 1 ? "do" : "does"} not hear this node: what this node sends is lost on the way (a one-way fault)`;
    return { kind: "one-way", phrase, rows: oneWay };
  }
  const lost = near.filter((row) => row.event === "membership.peer_state_changed" && row.new === "failed");
  const [first] = lost;
  if (first === undefined) return null;
  const peer = peerOf(first);
  return peer === null ? null : { ...peerPhrase(near, first, peer), rows: lost };
}

/** More than one peer lost at once and none left: the fault is most likely on this side. */
function everybodyGone(near: readonly JournalRow[], headline: JournalRow): Cause | null {
  const states = new Map<NodeId, JournalRow>();
  for (const row of near) {
    const peer = peerOf(row);
    if (row.event !== "membership.peer_state_changed" || peer === null) continue;
    if (row.monoUs > headline.monoUs && row.new === "joined") continue;
    states.set(peer, row);
  }
  const lost = [...states.values()].filter((row) => row.new === "failed" || row.new === "suspect");
  if (lost.length < 2 || lost.length < states.size) return null;
  const silent = lost.map((row) => row.wallMs - (numberFact(row, "silentMs") ?? 0));
  const last = clock(Math.max(...silent));
  const phrase = `it heard none of the others any more (nodes ${list([...states.keys()].toSorted((left, right) => left - right).map(String))}; last ${last}): its own network is cut off while its carrier stayed, or all of them are gone`;
  return { kind: "cut-off", phrase, rows: lost };
}

/** There was nobody before: the node, or the cluster, had just started. */
function ownStart(rows: readonly JournalRow[], headline: JournalRow): Cause | null {
  const index = rows.indexOf(headline);
  for (let at = index; at >= 0; at--) {
    const row = rows[at];
    if (row === undefined || (isSameBoot(row, headline) && headline.monoUs - row.monoUs > 6 * STORY_US))
      break;
    if (row.code === "HOST_WENT_DOWN")
      return { kind: "host-went-down", phrase: lower(row.message), rows: [row] };
    if (row.event === "node.node_started") {
      const phrase = `the node was started at ${clock(row.wallMs)} and nobody was master`;
      const earlier = rows.slice(Math.max(0, at - 20), at + 20).find(({ code }) => code === "HOST_WENT_DOWN");
      if (earlier !== undefined)
        return { kind: "host-went-down", phrase: lower(earlier.message), rows: [earlier, row] };
      return row.code === "node_start_after_kill"
        ? { kind: "process-killed", phrase: lower(row.message), rows: [row] }
        : { kind: "started", phrase, rows: [row] };
    }
  }
  return null;
}

/** The decision's own reason is all there is, and says it. */
function selfTold(headline: JournalRow): Cause {
  return { kind: headline.code, phrase: lower(headline.message), rows: [] };
}

/** A sentence as it goes on after "because". */
function lower(sentence: string): string {
  const text = sentence.replace(/\.$/, "");
  const first = text.split(" ", 1)[0] ?? "";
  const isName = first.length > 1 && first.slice(1) !== first.slice(1).toLowerCase();
  return isName ? text : text.slice(0, 1).toLowerCase() + text.slice(1);
}
