/** Of the supervisor, of the journal itself, and what any process may have to say. */
import type { DecisionTable } from "./decision-rules.ts";

export const SUPERVISOR_DECISIONS = {
  node_start: {
    weight: "important",
    rule: "`quorate node run` starts what does not run yet.",
    otherwise: "Nothing: it is the beginning.",
  },
  node_start_after_kill: {
    weight: "important",
    rule: "A node whose processes all ended without a stop goes on with what they persisted (crash-only).",
    otherwise: "An orderly stop.",
  },
  supervisor_restarted: {
    weight: "important",
    rule: "A new supervisor adopts what runs on; nothing is restarted for it.",
    otherwise: "The old supervisor living.",
  },
  process_ended: {
    weight: "important",
    rule: "Processes are crash-only: one that ends is started again at once, then with growing waits.",
    otherwise: "It not ending.",
  },
  process_exit: {
    weight: "important",
    rule: "Processes are crash-only: one that ends is started again at once, then with growing waits.",
    otherwise: "It not ending.",
  },
  signal: {
    weight: "important",
    rule: "An orderly stop: hand over, leave the view, say goodbye, end.",
    otherwise: "No signal.",
  },
} as const satisfies DecisionTable;

export const JOURNAL_DECISIONS = {
  JOURNAL_SET_ASIDE: {
    weight: "important",
    rule: "A journal that cannot be read is set aside, and a new one begun: history is worth less than the node.",
    otherwise: "An intact disk.",
  },
  DECISIONS_LOST: {
    weight: "notable",
    rule: "A hole is said, never hidden: decisions that no living process remembers are lost.",
    otherwise: "A journal that was there in time, or a process that lived on.",
  },
  CLOCK_STEPPED: {
    weight: "important",
    rule: "No lease and no promise uses the wall clock: a step changes what clocks show, and nothing else.",
    otherwise: "A clock that is slewed (chrony, ntpd) instead of set.",
  },
  HOST_WENT_DOWN: {
    weight: "important",
    rule: "Another boot id, and no orderly stop before: the host lost its power, crashed or was reset.",
    otherwise: "An orderly stop (`systemctl stop quorate`).",
  },
  DISK_REFUSED: {
    weight: "important",
    rule: "What the disk does not take is kept in memory, as much as fits, and written later.",
    otherwise: "Room where the state folder is.",
  },
  DISK_ACCEPTED: {
    weight: "notable",
    rule: "What was kept in memory is written.",
    otherwise: "The disk still refusing.",
  },
  DISK_NEARLY_FULL: {
    weight: "important",
    rule: "A full disk stops nothing by itself: only who has to write and cannot stays silent.",
    otherwise: "A megabyte of room where the state folder is.",
  },
  DISK_HAS_ROOM: {
    weight: "notable",
    rule: "What waited for the disk is written; nobody has to be restarted for it.",
    otherwise: "The disk still full.",
  },
  SUPERVISOR_GONE: {
    weight: "important",
    rule: "Our processes outlive their supervisor; but whoever ends now is not started again until a new one comes.",
    otherwise: "A supervisor that lives, or one that systemd restarts.",
  },
} as const satisfies DecisionTable;

export const SHARED_DECISIONS = {
  STATE_MISSING: {
    weight: "important",
    rule: "Missing state is not a new node: no vote until re-admitted.",
    otherwise: "The state folder, kept; or `quorate init` for a node that never was.",
  },
  STATE_CORRUPT: {
    weight: "important",
    rule: "State that does not match its digest is not trusted: no vote until re-admitted.",
    otherwise: "An intact disk; nobody editing or copying state files.",
  },
  DISARMED: {
    weight: "notable",
    rule: "While automation is off nobody takes over: only the last master, or whom it names, may lead.",
    otherwise: "quorate arm",
  },
  STATE_TORN: {
    weight: "important",
    rule: "A state file that ends in the middle is not trusted: no vote until re-admitted.",
    otherwise: "An intact disk.",
  },
  STATE_FOREIGN: {
    weight: "important",
    rule: "A state file of another version or node is not trusted: no vote until re-admitted.",
    otherwise: "The version, and the node, that wrote it.",
  },
  PROCESS_FROZEN: {
    weight: "important",
    rule: "A process that was not run for a while finds out by the clock when it runs again; meanwhile the kernel keeps the leases (INV-1).",
    otherwise: "Being scheduled: nobody stopping the process, a host that is not overloaded.",
  },
  PROCESS_STARVED: {
    weight: "important",
    rule: "A process that got no CPU for a while finds out by the clock when it runs again; meanwhile the kernel keeps the leases (INV-1).",
    otherwise: "A host that is not overloaded; a share of the CPU that is ours.",
  },
  PROCESS_BUSY: {
    weight: "notable",
    rule: "A process that is busy with one thing does nothing else; leases run out by themselves.",
    otherwise: "Less to do at once; please report it.",
  },
  BUS_AWAY: {
    weight: "important",
    rule: "Local messages that cannot be sent are dropped, never sent late: leases run out by themselves.",
    otherwise: "The local nats-server answering.",
  },
  BUS_BACK: {
    weight: "notable",
    rule: "The local bus answers: present knowledge is said again.",
    otherwise: "The nats-server staying away.",
  },
  CRASHED: {
    weight: "important",
    rule: "A broken invariant ends the process rather than let it go on with a state that nobody has thought about.",
    otherwise: "A fix of the fault; please report it.",
  },
  TOOL_FAILED: {
    weight: "important",
    rule: "What failed is tried again, with the reason in `status`.",
    otherwise: "A tool that works; see its words.",
  },
  TOOL_MISSING: {
    weight: "important",
    rule: "Without the tool this node cannot serve.",
    otherwise: "The Debian package named.",
  },
  NOT_ROOT: {
    weight: "important",
    rule: "Gates and addresses need root.",
    otherwise: "Running as root.",
  },
  DISK_FULL: {
    weight: "important",
    rule: "Persist, then send: what the disk refuses does not count.",
    otherwise: "Room where the state folder is.",
  },
  CONFIG_INVALID: {
    weight: "important",
    rule: "A configuration that cannot work is refused; what runs stays.",
    otherwise: "A correct file: `quorate config check FILE`.",
  },
  CONFIG_SYNTAX: {
    weight: "important",
    rule: "A file that cannot be read is refused with line and column; what runs stays.",
    otherwise: "A correct file: `quorate config check FILE`.",
  },
  CONFIG_STALE: {
    weight: "notable",
    rule: "Compare and swap: a change is made on the newest version.",
    otherwise: "Making it again on the newest version.",
  },
  PORT_TAKEN: {
    weight: "important",
    rule: "A port of ours that another program holds is named.",
    otherwise: "That program gone, or our ports moved.",
  },
  SYMLINK_REFUSED: {
    weight: "important",
    rule: "Lock files never follow a symbolic link.",
    otherwise: "No link there.",
  },
} as const satisfies DecisionTable;
