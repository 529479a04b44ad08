/** `quorate-lab`: the lab's command line. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT_CODES, QuorateError } from "@quorate/contracts";
import { Command, CommanderError, Option } from "commander";
import { DEFAULT_TOPOLOGY } from "./configuration.ts";
import { reportFailure } from "./failure.ts";
import { Lab } from "./lab.ts";
import { labText, observationText } from "./live.ts";
import { Observer } from "./observer.ts";
import { addTopologyOptions, type TopologyOptions, topologyOf, wholeNumber } from "./options.ts";
import { quoratePlan } from "./plan.ts";

const ROOT = resolve(import.meta.dirname, "../../..");

const program = new Command("quorate-lab")
  .description("Three hosts on this machine, and everything that can happen to them. Needs root.")
  .option("--lab <name>", "which lab; several run side by side", "main")
  .enablePositionalOptions()
  .exitOverride()
  .configureHelp({ showGlobalOptions: true });

/** A command that knows the lab's name; --lab may stand before or behind it. */
function command(name: string, description: string): Command {
  return program.command(name).description(description).addOption(new Option("--lab <name>").hideHelp());
}

function nameOf(own: Command): string {
  return own.opts<{ lab?: string }>().lab ?? program.opts<{ lab: string }>().lab;
}

function open(own: Command): Lab {
  return Lab.open(nameOf(own));
}

const up = addTopologyOptions(command("up", "build the lab and boot its hosts"), DEFAULT_TOPOLOGY)
  .option("--config <file>", "this file instead of the original's")
  .action(async (options: TopologyOptions & { config?: string }) => {
    const topology = topologyOf(options);
    const text = options.config === undefined ? undefined : readConfiguration(options.config);
    const lab = await Lab.up(nameOf(up), quoratePlan(ROOT, nameOf(up), topology, text));
    print(labText(lab, null));
  });

const down = command("down", "end every process of the lab and remove its folders").action(async () => {
  await Lab.down(nameOf(down));
});

const status = command("status", "hosts, cables, namespaces and pids")
  .option("--json", "print JSON")
  .action((options: { json?: boolean }) => {
    const lab = open(status);
    print(options.json === true ? `${JSON.stringify(lab.status(), null, 2)}\n` : labText(lab, null));
  });

const exec = command("exec", "run a command in a host, or in the client's network")
  .argument("<host>", "node id, or: client", (text) => (text === "client" ? text : wholeNumber(text)))
  .argument("<command...>")
  .passThroughOptions()
  .action(async (host: number | "client", argv: string[]) => {
    const child = open(exec).spawn(host, argv[0] === "--" ? argv.slice(1) : argv, "inherit");
    // The terminal's Ctrl-C is the command's.
    process.on("SIGINT", () => {});
    process.exitCode = await new Promise<number>((done) => child.once("exit", (code) => done(code ?? 1)));
  });

const kill = command("kill", "power cut; with --process: end one process of the host")
  .argument("<host>", "node id", wholeNumber)
  .option("--process <name>", "supervisor, nats-server or a service")
  .option("--signal <name>", "with --process", "SIGKILL")
  .action(async (host: number, options: { process?: string; signal: NodeJS.Signals }) => {
    const lab = open(kill);
    if (options.process === undefined) await lab.kill(host);
    else await lab.signalNamed(host, options.process, options.signal);
  });

const start = command("start", "switch a host on again")
  .argument("<host>", "node id", wholeNumber)
  .action((host: number) => open(start).start(host));

const freeze = command("freeze", "SIGSTOP to every process of the host, or to one")
  .argument("<host>", "node id", wholeNumber)
  .option("--process <name>", "only this one")
  .action((host: number, options: { process?: string }) => signalOr(open(freeze), host, options, "SIGSTOP"));

const thaw = command("thaw", "SIGCONT")
  .argument("<host>", "node id", wholeNumber)
  .option("--process <name>", "only this one")
  .action((host: number, options: { process?: string }) => signalOr(open(thaw), host, options, "SIGCONT"));

const cut = command("cut", "link cut: the switch's port goes down, the host has no carrier")
  .argument("<host>", "node id", wholeNumber)
  .option("--ring <n>", "only on this network", wholeNumber)
  .action((host: number, options: { ring?: number }) => open(cut).cut(host, options.ring ?? null));

const partition = command(
  "partition",
  "silent partition: these hosts leave the bridge together, carriers stay",
)
  .argument("<hosts...>", "node ids")
  .option("--ring <n>", "only on this network", wholeNumber)
  .action((hosts: string[], options: { ring?: number }) =>
    open(partition).partition(hosts.map(wholeNumber), options.ring ?? null),
  );

const oneway = command("oneway", "what FROM sends no longer reaches TO")
  .argument("<from>", "node id", wholeNumber)
  .argument("<to>", "node id", wholeNumber)
  .action((from: number, to: number) => open(oneway).oneway(from, to));

const loss = command("loss", "drop this share of the datagrams to a host, each judged once")
  .argument("<host>", "node id", wholeNumber)
  .argument("<percent>", "0 to 100", wholeNumber)
  .action((host: number, percent: number) => open(loss).loss(host, percent));

const cutStorage = command("cut-storage", "the storage host is silent, for one host or for all")
  .argument("[host]", "node id", wholeNumber)
  .action((host: number | undefined) => open(cutStorage).cutStorage(host ?? null));

const heal = command("heal", "end every fault of the network").action(() => open(heal).heal());

const watch = command("watch", "who answers for the cluster address, second by second")
  .option("--for <seconds>", "end by itself", wholeNumber)
  .option("--json", "a line of JSON a second, the whole at the end")
  .action((options: { for?: number; json?: boolean }) => watchLab(open(watch), options));

async function watchLab(lab: Lab, options: { for?: number; json?: boolean }): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());
  const observer = await Observer.start(lab);
  const whole = observer.observe();
  const end = options.for === undefined ? Number.POSITIVE_INFINITY : Date.now() + options.for * 1000;
  while (!stop.signal.aborted && Date.now() < end && observer.failure === null) {
    const second = observer.observe();
    await sleep(1000, undefined, { signal: stop.signal }).catch(() => {});
    if (options.json === true) print(`${JSON.stringify(second.report())}\n`);
    else print(`${new Date().toISOString()} ${observationText(second)}\n`);
    second.close();
  }
  if (options.json === true) print(`${JSON.stringify(whole.report())}\n`);
  else print(`whole time                 ${observationText(whole)}\n`);
  await observer.stop();
  if (observer.failure !== null)
    throw new QuorateError("TOOL_FAILED", observer.failure, "Start watching again.");
}

async function signalOr(
  lab: Lab,
  host: number,
  options: { process?: string },
  signal: "SIGSTOP" | "SIGCONT",
): Promise<void> {
  if (options.process !== undefined) await lab.signalNamed(host, options.process, signal);
  else if (signal === "SIGSTOP") await lab.freeze(host);
  else await lab.thaw(host);
}

function readConfiguration(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new QuorateError(
      "CONFIG_UNREADABLE",
      `${path} cannot be read: ${String(error)}`,
      "Check the path.",
    );
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  } else {
    process.exitCode = reportFailure(error);
  }
}
