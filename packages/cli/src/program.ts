import {
  BUS_CLIENT_PORT,
  type DecisionWeight,
  EVENT_DOMAINS,
  type ExitCode,
  EXIT_CODES,
  NodeIdSchema,
  PRIO_MAXIMUM,
  QuorateError,
  SERVICES,
  type VmMove,
  VmMoveSchema,
} from "@quorate/contracts";
import {
  DEFAULT_CONFIG_FILE,
  DEFAULT_HEALTH_BASE,
  DEFAULT_KEYS_DIR,
  DEFAULT_RUN_DIR,
  DEFAULT_STATE_DIR,
  QUORATE_VERSION,
} from "@quorate/runtime";
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { applyFile, arm, changePrio, disarm, moveMaster, parseDuration } from "./commands/change.ts";
import { drain, undrain } from "./commands/drain.ts";
import { checkFile, showConfiguration, showHistory } from "./commands/config.ts";
import { followEvents } from "./commands/events.ts";
import { LEVELS, showJournal } from "./commands/journal-log.ts";
import { showLog } from "./commands/log.ts";
import { askOnTerminal, confirmOff } from "./commands/confirm-off.ts";
import { showWhy } from "./commands/why.ts";
import { parseMoment } from "./moment.ts";
import { initNode } from "./commands/init.ts";
import { lookAtNodes, lookAtQuorum, lookAtStatus } from "./commands/look.ts";
import {
  defineMachine,
  discoverMachines,
  listMachines,
  moveMachine,
  planMachines,
  showMachine,
  wishMachine,
} from "./commands/machines.ts";
import type { Wish } from "./machine-lines.ts";
import { record, replay } from "./commands/recording.ts";
import { addSimulate } from "./commands/simulate.ts";
import { completionScript, SHELLS } from "./completion/scripts.ts";
import { spotsOf } from "./completion/spots.ts";
import { loadGates } from "./node-run/load-gates.ts";
import { runNode } from "./node-run/supervisor.ts";
import { failureJson, failureText, type Output, PROCESS_OUTPUT, type Shown, show } from "./output.ts";
import { resolve } from "node:path";

interface Common {
  runDir?: string;
  stateDir?: string;
  json?: boolean;
  watch?: boolean;
}

function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < minimum || value > maximum) {
      throw new InvalidArgumentError(`A whole number from ${minimum} to ${maximum} is wanted.`);
    }
    return value;
  };
}

function nodeId(text: string): number {
  const parsed = NodeIdSchema.safeParse(/^\d+$/.test(text) ? Number(text) : Number.NaN);
  if (!parsed.success) throw new InvalidArgumentError("A node id from 1 to 4294967295 is wanted.");
  return parsed.data;
}

/** Where the node is; `--json` and `--watch` where something is shown. */
function located(command: Command, kind: "show" | "act" = "show"): Command {
  command
    .option("--run-dir <dir>", `the node's run directory (default ${DEFAULT_RUN_DIR})`)
    .option("--state-dir <dir>", `the node's state directory (default: as the node was started)`)
    .option("--json", "print JSON");
  return kind === "show" ? command.option("--watch", "show again every second") : command;
}

/** The tools of the field by their names: the same flags, the same layouts. */
const OTHER_NAMES: Record<string, string> = {
  corolistener: "nodes",
  "corosync-quorumtool": "quorum",
};

/** Runs one command line. Answers the exit code; prints errors with what to do about them. */
export async function runCommand(
  calledAs: string,
  argv: readonly string[],
  output: Output = PROCESS_OUTPUT,
): Promise<ExitCode> {
  let exit: ExitCode = EXIT_CODES.ok;
  const program = buildProgram(output, (code) => {
    exit = code;
  });
  const other = OTHER_NAMES[calledAs];
  const args = other === undefined ? [...argv] : [other, ...argv];
  try {
    await program.parseAsync(args, { from: "user" });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError) {
      return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
    }
    if (!(error instanceof QuorateError)) throw error;
    if (args.includes("--json")) output.write(`${JSON.stringify(failureJson(error))}\n`);
    output.complain(failureText(error));
    return error.exitCode;
  }
}

function buildProgram(output: Output, end: (code: ExitCode) => void): Command {
  const program = new Command("quorate")
    .description("Keeps a cluster address, a service and virtual machines running when hosts die.")
    .version(QUORATE_VERSION)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => output.write(text),
      writeErr: (text) => output.complain(text),
    });
  const shows = (command: Command, look: (options: Common) => Promise<Shown>) => {
    command.action(async () => {
      const options: Common = command.opts();
      end(await show(output, options, () => look(options)));
    });
  };

  shows(located(program.command("status").description("who is what, and what is degraded")), (options) =>
    lookAtStatus(options, output),
  );
  shows(
    located(program.command("nodes").description("the nodes, as `corolistener -l` lists them")).option(
      "-l",
      "list (the only form)",
    ),
    lookAtNodes,
  );
  const quorum = located(program.command("quorum").description("as `corosync-quorumtool`"))
    .option("-l", "list the members")
    .option("-s", "status; exit code 2 without quorum")
    .option("-i", "addresses instead of names (as always)");
  shows(quorum, (options) =>
    lookAtQuorum(
      options,
      quorum.opts<{ l?: boolean; s?: boolean }>().l === true && !quorum.opts<{ s?: boolean }>().s,
    ),
  );
  addConfig(program, shows);
  addNode(program, output, shows);
  addMachines(program, output, shows);
  const move = program.command("master").description("the mastership");
  const moveTo = located(move.command("move").argument("<node>", "id, name or address"), "act").description(
    "hand over to NODE and wait until it is master",
  );
  shows(moveTo, (options) => moveMaster(options, moveTo.args[0] ?? ""));
  const disarmCommand = located(program.command("disarm"), "act")
    .description("switch automation off on all nodes, for a time")
    .requiredOption("--for <time>", "30m, 90s, 2h");
  shows(disarmCommand, (options) =>
    disarm(options, parseDuration(disarmCommand.opts<{ for: string }>().for)),
  );
  shows(located(program.command("arm").description("switch automation on again"), "act"), arm);
  const events = located(program.command("events"), "act")
    .description("print events of all nodes as they come")
    .addOption(new Option("--domain <name...>", "only these").choices(EVENT_DOMAINS));
  events.action(async () => {
    const options = events.opts<Common & { domain?: Array<(typeof EVENT_DOMAINS)[number]> }>();
    await followEvents(output, options, { json: options.json, domains: options.domain ?? [] });
  });
  addHistory(program, output, shows);
  addRecording(program, shows);
  addSimulate(program, output, wholeNumber, end);
  addCompletion(program, output);
  return program;
}

function addCompletion(program: Command, output: Output): void {
  program
    .command("completion")
    .description("print what a shell needs to complete this program's commands and options")
    .addArgument(new Argument("<shell>", "which").choices(SHELLS))
    .action((shell: (typeof SHELLS)[number]) => {
      output.write(completionScript(shell, spotsOf(program)));
    });
}

/** Looks back: what was decided, and why. */
function addHistory(program: Command, output: Output, shows: Shows): void {
  const why = located(program.command("why"), "act")
    .description("why things are as they are, from this node's journal; works while the node is down")
    .argument(
      "[about]",
      "a node (4, node:4, name, address), a term (term:7; 7 when no node has that id), a time (10:15, '5m ago', ISO), or a machine (web, vm:web); the last thing of importance when left out",
    );
  shows(why, (options) => showWhy(options, why.args[0], output));
  const log = located(program.command("log"), "act")
    .description("what this node decided, from its journal; with names or --raw what its processes wrote")
    .argument("[name...]", "the raw log of nats-server, membership, quorum-evaluator …")
    .option("--raw", "the raw logs of all processes")
    .option("-n, --limit <number>", "how many lines", wholeNumber(1, 1_000_000), 50)
    .option("--since <time>", "10:15, '5m ago', 2026-11-22T10:15:03Z", moment)
    .option("--node <id>", "only what is about that node", nodeId)
    .addOption(new Option("--service <name...>", "only these").choices([...SERVICES, "supervisor"]))
    .addOption(new Option("--level <level>", "this and above").choices(LEVELS).default("notable"))
    .option("-f, --follow", "go on as more comes");
  log.action(async () => {
    const options = log.opts<
      Common & {
        limit: number;
        follow?: boolean;
        raw?: boolean;
        since?: number;
        node?: number;
        service?: string[];
        level: DecisionWeight;
      }
    >();
    if (options.raw === true || log.args.length > 0) {
      await showLog(output, options, { ...options, names: log.args });
      return;
    }
    const { since, service, ...rest } = options;
    await showJournal(output, options, { ...rest, sinceMs: since, services: service ?? [] });
  });
}

function moment(text: string): number {
  const atMs = parseMoment(text, Date.now());
  if (atMs === null)
    throw new InvalidArgumentError("A time is wanted: 10:15, '5m ago', 2026-11-22T10:15:03Z.");
  return atMs;
}

type Shows = (command: Command, look: (options: Common) => Promise<Shown>) => void;

function addConfig(program: Command, shows: Shows): void {
  const config = program.command("config").description("the configuration");
  const check = config
    .command("check")
    .description("check a file; exit code 78 when it cannot work")
    .argument("<file>")
    .option("--json", "print JSON");
  shows(check, async () => checkFile(check.args[0] ?? ""));
  const showing = located(config.command("show").description("the document this node runs on")).option(
    "--effective",
    "every value that counts instead, and whether it is the document's or a default",
  );
  shows(showing, (options) =>
    showConfiguration(options, showing.opts<{ effective?: boolean }>().effective === true),
  );
  const log = located(config.command("log").description("the versions this node has had")).option(
    "-n, --limit <number>",
    "how many",
    wholeNumber(1, 1000),
    20,
  );
  shows(log, (options) => showHistory(options, log.opts<{ limit: number }>().limit));
  const apply = located(config.command("apply"), "act")
    .description("make a file the next version, on all nodes")
    .argument("<file>");
  shows(apply, (options) => applyFile(options, apply.args[0] ?? ""));
}

/** Virtual machines under care. */
function addMachines(program: Command, output: Output, shows: Shows): void {
  const vm = program.command("vm").description("virtual machines");
  shows(
    located(vm.command("list").description("every machine, where it is, and what it waits for")),
    listMachines,
  );
  const showing = located(vm.command("show").description("one machine").argument("<name>"));
  shows(showing, (options) => showMachine(options, showing.args[0] ?? ""));
  const defining = located(vm.command("define"), "act")
    .description("take a machine under care, or change its definition (libvirt's XML)")
    .argument("[file]", "on this host")
    .option("--domain <name>", "what the node's libvirt knows under that name, instead of a file")
    .option("--prio <number>", "higher is started first", wholeNumber(0, PRIO_MAXIMUM))
    .option("--stopped", "do not start it")
    .option("--node <node>", "under that node's care instead of this one's: id, name or address");
  shows(defining, (options) => defineMachine(options, defining.args[0], defining.opts()));
  const discovering = located(vm.command("discover"))
    .description("what libvirt knows and nobody has taken under care")
    .option("--node <node>", "on that node instead of this one: id, name or address");
  shows(discovering, (options) => discoverMachines(options, discovering.opts<{ node?: string }>().node));
  const wishes: [string, Wish, string][] = [
    ["start", "running", "it shall run, wherever there is room"],
    ["stop", "stopped", "shut it down; it stays down"],
    ["forget", "undefined", "shut it down and give it up; its disks stay"],
  ];
  for (const [name, wanted, description] of wishes) {
    const command = located(vm.command(name).description(description).argument("<name>"), "act");
    shows(command, (options) => wishMachine(options, command.args[0] ?? "", { wanted }));
  }
  const moving = located(vm.command("move"), "act")
    .description("move it to NODE, live or by a restart as its policy says, and wait until it runs there")
    .argument("<name>")
    .argument("<node>", "id, name or address");
  shows(moving, (options) =>
    moveMachine(options, moving.args[0] ?? "", moving.args[1] ?? "", (text) => {
      if (options.json !== true) output.write(text);
    }),
  );
  const policy = located(vm.command("policy"), "act")
    .description("how a machine is treated")
    .argument("<name>")
    .option("--prio <number>", "higher is started first", wholeNumber(0, PRIO_MAXIMUM))
    .addOption(
      new Option(
        "--move <how>",
        "live; shut down and started anew; or live and, if that is broken off, by a restart",
      ).choices(VmMoveSchema.options),
    );
  shows(policy, (options) => {
    const wish = policy.opts<{ prio?: number; move?: VmMove }>();
    if (wish.prio !== undefined || wish.move !== undefined)
      return wishMachine(options, policy.args[0] ?? "", wish);
    throw new QuorateError("USAGE", "Nothing is said of how it is to be treated.", "Add --prio or --move.");
  });
  const planning = located(program.command("plan"), "act")
    .description("what would happen to the machines, by the code that would do it")
    .requiredOption("--if <what...>", '"node 4 down"');
  shows(planning, (options) => planMachines(options, planning.opts<{ if: string[] }>().if));
}

function addRecording(program: Command, shows: Shows): void {
  const recording = located(program.command("record"), "act")
    .description("write down what this node's services were given and decided, the last minute or so")
    .option("--out <file>", "default: a name with cluster and time in this folder")
    .option("--node <node...>", "of these nodes instead (id, name or address)");
  shows(recording, (options) => record(options, recording.opts<{ out?: string; node?: string[] }>()));
  const replaying = program
    .command("replay")
    .description("give a recording to the same cores again; exit code 1 when they decide otherwise")
    .argument("<file>")
    .option("--force", "also one that another version recorded")
    .option("--json", "print JSON");
  shows(replaying, async () =>
    replay(replaying.args[0] ?? "", replaying.opts<{ force?: boolean }>().force === true),
  );
}

function addNode(program: Command, output: Output, shows: Shows): void {
  const node = program.command("node").description("nodes");
  const prio = located(node.command("prio"), "act")
    .description("set a node's priority; the highest leads, 0 never")
    .argument("<node>", "id, name or address")
    .argument("<prio>", "a whole number", wholeNumber(0, PRIO_MAXIMUM));
  shows(prio, (options) => changePrio(options, prio.args[0] ?? "", Number(prio.args[1])));
  const drained = located(node.command("drain"), "act")
    .description("move mastership and machines off, and place none there for a time; waits until it is empty")
    .argument("<node>", "id, name or address")
    .requiredOption("--for <time>", "30m, 2h, 7d; it ends by itself", "1d")
    .option("--no-wait", "don't wait for the machines");
  shows(drained, (options) => {
    const { for: time, wait } = drained.opts<{ for: string; wait: boolean }>();
    const progress = (text: string) => {
      if (options.json !== true) output.write(text);
    };
    return drain(options, drained.args[0] ?? "", parseDuration(time), { wait, progress });
  });
  const undrained = located(node.command("undrain"), "act")
    .description("let it have machines again")
    .argument("<node>", "id, name or address");
  shows(undrained, (options) => undrain(options, undrained.args[0] ?? ""));
  const confirmed = located(node.command("confirm-off"), "act")
    .description("vouch for it that NODE is switched off: machines that no gate holds start elsewhere")
    .argument("<node>", "id, name or address")
    .option("--yes", "do not ask");
  shows(confirmed, (options) => {
    const isSure = confirmed.opts<{ yes?: boolean }>().yes === true;
    return confirmOff(options, confirmed.args[0] ?? "", isSure ? null : askOnTerminal(output));
  });
  const own = (command: Command) =>
    command
      .requiredOption("--config <file>", "the cluster's file", DEFAULT_CONFIG_FILE)
      .requiredOption("--node-id <id>", "this node's id in the node list", nodeId)
      .option("--state-dir <dir>", "state that survives a reboot", DEFAULT_STATE_DIR)
      .option("--keys-dir <dir>", "key, certificate and password of the cluster", DEFAULT_KEYS_DIR);
  interface Own {
    config: string;
    nodeId: number;
    stateDir: string;
    keysDir: string;
  }
  const init = own(program.command("init"))
    .description("make keys that are missing and this node's first state")
    .option("--force", "forget what this node has promised", false)
    .option("--json", "print JSON");
  shows(init, async () => {
    const lines = initNode(init.opts<Own & { force: boolean }>());
    return { json: lines, text: `${lines.join("\n")}\n` };
  });
  const gates = node
    .command("load-gates")
    .description("make the machines' gates stand, shut, before libvirt starts; leaves what stands alone")
    .requiredOption("--config <file>", "the cluster's file", DEFAULT_CONFIG_FILE)
    .requiredOption("--node-id <id>", "this node's id in the node list", nodeId)
    .option("--state-dir <dir>", "state that survives a reboot", DEFAULT_STATE_DIR)
    .option("--json", "print JSON");
  shows(gates, async () => {
    const options = gates.opts<{ config: string; nodeId: number; stateDir: string }>();
    const { config, stateDir } = options;
    return loadGates({ ...options, config: resolve(config), stateDir: resolve(stateDir) });
  });
  const run = own(node.command("run"))
    .description("run this node in the foreground until SIGTERM")
    .option("--run-dir <dir>", "state that ends with the boot", DEFAULT_RUN_DIR)
    .option("--bus-port <port>", "the local NATS server's port", wholeNumber(1, 65_535), BUS_CLIENT_PORT)
    .option(
      "--health-base <port>",
      "health ports are this + 1 to + 4; 0: any",
      wholeNumber(0, 65_000),
      DEFAULT_HEALTH_BASE,
    );
  run.action(async () => {
    const options = run.opts<Own & { runDir: string; busPort: number; healthBase: number }>();
    await runNode({
      ...options,
      config: resolve(options.config),
      stateDir: resolve(options.stateDir),
      runDir: resolve(options.runDir),
      keysDir: resolve(options.keysDir),
    });
  });
}
