/** docs/manual/errors.md, made from the table of errors; generate.ts writes it, a test compares it. */
import { ERROR_TABLE, type ErrorCode, EXIT_CODES } from "./errors.ts";

const EXIT_MEANINGS: Record<keyof typeof EXIT_CODES, string> = {
  ok: "Done, or nothing to do.",
  error: "It did not work; the message says why and what to do.",
  notQuorate: "This node has no quorum (as `corosync-quorumtool`).",
  usage: "The command line is wrong. Nothing was done.",
  unreachable: "The node, or who should have answered, does not answer.",
  configuration: "The configuration, a key or the state folder cannot be used as it is.",
  noSuchThing: "There is no node of that name.",
  unsafeWithoutForce: "It would be unsafe, so nothing was done.",
};

/** What helps in most cases. The message's own hint knows the case at hand and comes first. */
const REMEDIES: Record<ErrorCode, string> = {
  CONFIG_SYNTAX: "Correct the line and column named; `quorate config check FILE` names all of them at once.",
  CONFIG_INVALID:
    "Correct what is named, and check with `quorate config check FILE`. What runs stays as it is.",
  CONFIG_UNREADABLE: "Name the file with `--config`; look at its path and mode.",
  CONFIG_STALE: "Somebody else was faster: `quorate config show`, make the change again on that, apply it.",
  KEY_INVALID:
    "Copy the keys folder from another node, modes kept. Only a first node makes keys: `quorate init`.",
  KEY_MODE: "`chmod go=` the file named. If others may have read it, make new keys on all nodes.",
  NODE_UNKNOWN: "Name a node by its id, name or address, as `quorate nodes` lists them.",
  STATE_MISSING:
    "A node that was never here: `quorate init`. A node that lost its disk: operations.md, “A lost disk”.",
  STATE_CORRUPT: "Look at the disk. Never copy another node's file: operations.md, “A lost vote”.",
  STATE_TORN: "As `STATE_CORRUPT`: the disk lost what it had promised to keep.",
  STATE_FOREIGN: "Install the version again that was there before; the state of a newer one cannot be read.",
  RECORDING_INVALID: "Record again; replay with the version that the message names.",
  NOT_ROOT: "Run it as root.",
  TOOL_MISSING: "Install the Debian package that is named.",
  TOOL_FAILED: "Read what the tool said; it stands in the message.",
  INTERFACE_MISSING: "Make the interface, or correct `CloudIpDev`.",
  ADDRESS_MISSING:
    "Set the address on the host, or correct `ringN_addr`, or start with the right `--node-id`.",
  ADDRESS_IN_USE: "Find the machine by the MAC address in the message and take the address away from it.",
  PORT_TAKEN: "Find the program: `ss -lntup`. Stop it, or move the port.",
  SYMLINK_REFUSED: "Remove the link, or choose a path in a folder that only root may write.",
  SERVICE_FAILED: "Read the service's own log: `managed-service.log` in the log folder, or its journal.",
  DISK_FULL: "Make room where the state folder is. It is tried again by itself.",
  BUS_UNREACHABLE: "Does the node run? If it does: `nats-server.log` in the log folder.",
  REQUEST_TIMEOUT:
    "`quorate status` says who is silent. A change may have been made or not: `quorate config log`.",
  MESSAGE_INVALID:
    "Do all nodes run the same version? A file of the run folder is written anew at the next start.",
  NOT_MASTER: "Wait for the election (2 tokens), then try again. If none comes: `quorate status`.",
  NOT_QUORATE: "Bring back enough nodes; `quorate status` lists who is away.",
  UNSAFE: "Do what the hint says first. `--force`, where there is one, is for who knows better.",
  MACHINES_OFF: "Add the section: `quorate config apply FILE` with `machines { }`.",
  MACHINE_UNKNOWN: "`quorate vm list` names them and who has them.",
  MACHINE_EXISTS:
    "Give it a name, a UUID and disks of its own, or take the other one out: `quorate vm list`. A disk that guests share is `<shareable/>` in both.",
  MACHINE_BUSY: "Wait until `quorate vm show NAME` says that it runs or is stopped.",
  DEFINITION_BROKEN:
    "Correct the XML at the place named; `virsh dumpxml NAME` gives what libvirt itself has.",
  DEFINITION_MISSING: "Bring back a node that has it, or define it again: `quorate vm define FILE`.",
  HYPERVISOR_DOWN: "Is libvirtd running? `virsh list` on the host. It is tried again by itself.",
  STORAGE_UNREACHABLE: "Is the storage there? Is its gate open: `quorate vm show NAME`.",
  NO_MEMORY: "Free some, or move a machine away; another host is tried by itself.",
  MIGRATION_REFUSED: "The message has libvirt's words. Try again, or stop the machine and start it there.",
  NODE_MAY_BE_ON:
    "Switch the host off and try again when `quorate status` shows it as fenced; a host that runs comes back by itself.",
  SECRETS_INVALID:
    "Put lines of `key=value` into the file that `secrets_file` names, on every host: `install -m 600 -o root FILE PATH`.",
  WATCHDOG_MISSING: "Load the driver of the board's watchdog, or correct the section `fencing.watchdog`.",
  WATCHDOG_UNUSABLE: "The message says what is wrong with it; `wdctl` shows what the kernel knows of it.",
  POWER_STILL_ON: "Switch the host off by hand, then `quorate node confirm-off N`.",
  GATE_OPEN: "Shut it first.",
  REPLICA_OFF: "Ask a node with `replication: on`.",
  JOURNAL_MISSING: "Start the node once, or name its state folder with `--state-dir`.",
  JOURNAL_UNREADABLE: "Be root; see what SQLite says in the message.",
  NOTHING_KNOWN: "Ask another node: each keeps only its own journal. `quorate log` shows what there is.",
  SCENARIO_UNKNOWN: "The message names those that come near.",
  SCENARIO_INVALID: "Correct the file at the place named.",
  USAGE: "`quorate COMMAND --help`.",
  ALREADY_RUNNING: "It is being done already: wait, or end the process that is named.",
};

/** docs/manual/errors.md: every exit code and every error code, in the order of the tables. */
export function errorsMarkdown(): string {
  const exits = Object.entries(EXIT_CODES).map(([name, code]) => {
    const meaning = EXIT_MEANINGS[name as keyof typeof EXIT_CODES];
    return `| ${code} | ${meaning} |`;
  });
  const errors = Object.entries(ERROR_TABLE).map(([code, { exit, meaning }]) => {
    const remedy = REMEDIES[code as ErrorCode];
    return `| \`${code}\` | ${exit} | ${meaning} | ${remedy} |`;
  });
  return `${[
    "# Errors and exit codes",
    "",
    "<!-- Generated from packages/contracts/src/errors.ts and errors-documents.ts (`npm run generate` there); do not edit. -->",
    "",
    "Every failure that is foreseen has a code, one sentence that says what happened, and one that says what to do:",
    "",
    "```",
    "quorate: No node 77 is in the node list.",
    "  what to do: The list has: 2 (172.31.223.46), 4 (172.31.223.47), 8 (172.31.223.48). Name a node by its id, name or address.",
    "```",
    "",
    'With `--json` the same goes to stdout as `{"error":{"code","message","hint"}}`. Logs carry `code` and `hint`. Scripts',
    "should look at the exit code, or at `code`; the sentences may change.",
    "",
    "What is degraded while a node runs is not an error: [operations.md](operations.md) lists what `quorate status` may show.",
    "",
    "## Exit codes",
    "",
    "| code | meaning |",
    "|---:|---|",
    ...exits,
    "",
    "## Error codes",
    "",
    "| code | exit | meaning | what helps in most cases |",
    "|---|---:|---|---|",
    ...errors,
  ].join("\n")}\n`;
}
