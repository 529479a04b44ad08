/** The exit codes of every command; the numbers 2, 105 and 107 follow what the field's tools use. */
export const EXIT_CODES = {
  ok: 0,
  error: 1,
  notQuorate: 2,
  usage: 64,
  unreachable: 69,
  configuration: 78,
  noSuchThing: 105,
  unsafeWithoutForce: 107,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/**
 * Every expected failure a shell may report, with the exit code that a command ends with.
 * docs/manual/errors.md is generated from this table and checked both ways by a test.
 */
export const ERROR_TABLE = {
  CONFIG_SYNTAX: { exit: EXIT_CODES.configuration, meaning: "The configuration file's grammar is broken." },
  CONFIG_INVALID: {
    exit: EXIT_CODES.configuration,
    meaning: "The configuration can be read but cannot work.",
  },
  CONFIG_UNREADABLE: { exit: EXIT_CODES.configuration, meaning: "The configuration file cannot be read." },
  CONFIG_STALE: { exit: EXIT_CODES.error, meaning: "The change was made against an older configuration." },
  KEY_INVALID: {
    exit: EXIT_CODES.configuration,
    meaning: "The cluster key is missing, unreadable or of the wrong size.",
  },
  KEY_MODE: { exit: EXIT_CODES.configuration, meaning: "The cluster key can be read by others." },
  NODE_UNKNOWN: { exit: EXIT_CODES.noSuchThing, meaning: "No node of that id or name is in the node list." },
  STATE_MISSING: {
    exit: EXIT_CODES.configuration,
    meaning: "The state folder is empty; an empty folder is not a new node.",
  },
  STATE_CORRUPT: { exit: EXIT_CODES.error, meaning: "A state file does not match its digest." },
  STATE_TORN: { exit: EXIT_CODES.error, meaning: "A state file ends in the middle." },
  STATE_FOREIGN: { exit: EXIT_CODES.error, meaning: "Another version of Quorate wrote a state file." },
  RECORDING_INVALID: {
    exit: EXIT_CODES.configuration,
    meaning: "A recording is damaged, or of a version that cannot be replayed here.",
  },
  NOT_ROOT: { exit: EXIT_CODES.error, meaning: "The command needs root." },
  TOOL_MISSING: { exit: EXIT_CODES.error, meaning: "A system tool is not installed." },
  TOOL_FAILED: { exit: EXIT_CODES.error, meaning: "A system tool ended with an error." },
  INTERFACE_MISSING: { exit: EXIT_CODES.error, meaning: "The network interface does not exist." },
  ADDRESS_MISSING: {
    exit: EXIT_CODES.error,
    meaning: "None of this host's addresses fits the configuration.",
  },
  ADDRESS_IN_USE: { exit: EXIT_CODES.error, meaning: "Another machine answers for the address." },
  PORT_TAKEN: { exit: EXIT_CODES.error, meaning: "Another program listens on the port." },
  SYMLINK_REFUSED: {
    exit: EXIT_CODES.error,
    meaning: "The path is a symbolic link, which could lead elsewhere.",
  },
  SERVICE_FAILED: {
    exit: EXIT_CODES.error,
    meaning: "The managed service did not start or does not answer.",
  },
  DISK_FULL: { exit: EXIT_CODES.error, meaning: "The state could not be written." },
  BUS_UNREACHABLE: { exit: EXIT_CODES.unreachable, meaning: "The node's local NATS server does not answer." },
  REQUEST_TIMEOUT: { exit: EXIT_CODES.unreachable, meaning: "No answer came in time." },
  MESSAGE_INVALID: { exit: EXIT_CODES.error, meaning: "A message does not have the agreed form." },
  NOT_MASTER: { exit: EXIT_CODES.error, meaning: "This node is not the master and knows of none." },
  NOT_QUORATE: { exit: EXIT_CODES.notQuorate, meaning: "This node has no quorum." },
  UNSAFE: { exit: EXIT_CODES.unsafeWithoutForce, meaning: "The act is unsafe and needs --force." },
  MACHINES_OFF: {
    exit: EXIT_CODES.error,
    meaning: "The configuration has no section `machines`: no machine is under care.",
  },
  MACHINE_UNKNOWN: { exit: EXIT_CODES.noSuchThing, meaning: "No machine of that name is under care here." },
  MACHINE_EXISTS: { exit: EXIT_CODES.error, meaning: "Another machine has that name, UUID or disk." },
  MACHINE_BUSY: {
    exit: EXIT_CODES.error,
    meaning: "The machine is being moved or started; it cannot be changed now.",
  },
  DEFINITION_BROKEN: { exit: EXIT_CODES.configuration, meaning: "A machine's definition cannot be used." },
  DEFINITION_MISSING: {
    exit: EXIT_CODES.error,
    meaning: "No node that can be reached has the machine's definition.",
  },
  HYPERVISOR_DOWN: { exit: EXIT_CODES.error, meaning: "Libvirt does not answer on this host." },
  STORAGE_UNREACHABLE: {
    exit: EXIT_CODES.error,
    meaning: "A machine's disk cannot be reached from this host.",
  },
  NO_MEMORY: { exit: EXIT_CODES.error, meaning: "The host has not enough memory for the machine." },
  MIGRATION_REFUSED: {
    exit: EXIT_CODES.error,
    meaning: "A live move did not succeed; the machine runs on where it was.",
  },
  NODE_MAY_BE_ON: {
    exit: EXIT_CODES.error,
    meaning: "The node is a member, is heard, or is not fenced yet: nobody can vouch for its being off.",
  },
  SECRETS_INVALID: {
    exit: EXIT_CODES.configuration,
    meaning:
      "The file with a power device's secrets is missing, can be read by others, or has a broken line.",
  },
  WATCHDOG_MISSING: {
    exit: EXIT_CODES.error,
    meaning: "The host has no watchdog, or it is not armed, and the machine is not started without one.",
  },
  WATCHDOG_UNUSABLE: {
    exit: EXIT_CODES.error,
    meaning:
      "The host's watchdog cannot be relied upon: it is another program's, cannot be set, or cannot be stopped.",
  },
  POWER_STILL_ON: { exit: EXIT_CODES.error, meaning: "A power device does not say that the host is off." },
  GATE_OPEN: { exit: EXIT_CODES.error, meaning: "A gate is open that has to be shut for this." },
  REPLICA_OFF: { exit: EXIT_CODES.error, meaning: "This node keeps no replica of the inventories." },
  JOURNAL_MISSING: { exit: EXIT_CODES.noSuchThing, meaning: "This node has no journal yet." },
  JOURNAL_UNREADABLE: { exit: EXIT_CODES.error, meaning: "The node's journal cannot be read." },
  NOTHING_KNOWN: {
    exit: EXIT_CODES.noSuchThing,
    meaning: "The journal of this node knows nothing of what was asked for.",
  },
  SCENARIO_UNKNOWN: { exit: EXIT_CODES.noSuchThing, meaning: "The simulator has no scenario of that name." },
  SCENARIO_INVALID: {
    exit: EXIT_CODES.configuration,
    meaning: "A scenario's files are wrong or incomplete.",
  },
  USAGE: { exit: EXIT_CODES.usage, meaning: "The command line is wrong." },
  ALREADY_RUNNING: { exit: EXIT_CODES.error, meaning: "Another process does this already." },
} as const;

export type ErrorCode = keyof typeof ERROR_TABLE;

/** An expected failure: what happened (message) and what to do about it (hint). */
export class QuorateError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "QuorateError";
    this.code = code;
    this.hint = hint;
  }

  get exitCode(): ExitCode {
    return ERROR_TABLE[this.code].exit;
  }
}

/** Ends a `switch` over a closed union; reaching it is a broken invariant. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** A broken invariant: crash rather than go on with a state nobody has thought about. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}
