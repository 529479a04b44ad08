/**
 * `npm start`: the lab, live, until Ctrl-C; with --drill the drill and the end. Either way nothing is left behind.
 * stdout's last line is the drill's JSON with --json.
 */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT_CODES, QuorateError } from "@quorate/contracts";
import { Command, Option } from "commander";
import { DEFAULT_TOPOLOGY } from "./configuration.ts";
import { drillSucceeded, runDrill } from "./drill.ts";
import { hostLogTails, reportFailure } from "./failure.ts";
import { defineGuests, readMachines } from "./guest/care.ts";
import { Lab } from "./lab.ts";
import { guestLines, labText } from "./live.ts";
import { Observer } from "./observer.ts";
import { addTopologyOptions, type TopologyOptions, topologyOf } from "./options.ts";
import { quoratePlan } from "./plan.ts";

const ROOT = resolve(import.meta.dirname, "../../..");
const STATUS_EVERY_MS = 3000;

type StartOptions = TopologyOptions & { lab: string; drill?: boolean; json?: boolean; keep?: boolean };

const stop = new AbortController();

async function main(): Promise<number> {
  const program = new Command("start").description("three hosts on this machine, described by one file");
  program.option("--lab <name>", "the lab's name", "main");
  program.option("--drill", "kill the master's host, show the failover, end");
  program.option("--json", "with --drill: the figures as the last line");
  program.addOption(new Option("--keep", "leave the lab up at the end").hideHelp());
  addTopologyOptions(program, DEFAULT_TOPOLOGY);
  program.parse();
  const options = program.opts<StartOptions>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => stop.abort());
  }
  await Lab.clearAbandoned(options.lab);
  const plan = quoratePlan(ROOT, options.lab, topologyOf(options));
  const lab = await Lab.up(options.lab, plan, { own: true });
  try {
    return options.drill === true ? await drill(lab, options) : await live(lab);
  } catch (error) {
    if (stop.signal.aborted) return 130;
    process.stderr.write(`${hostLogTails(lab)}\n`);
    throw error;
  } finally {
    if (options.keep !== true) await Lab.down(options.lab);
  }
}

async function drill(lab: Lab, options: StartOptions): Promise<number> {
  const interrupted = new Promise<never>((_resolve, reject) => {
    const end = () =>
      reject(new QuorateError("SERVICE_FAILED", "the drill was interrupted", "Start it again."));
    if (stop.signal.aborted) end();
    stop.signal.addEventListener("abort", end);
  });
  const result = await Promise.race([runDrill(lab, print), interrupted]);
  if (options.json === true) print(JSON.stringify(result));
  return drillSucceeded(result) ? EXIT_CODES.ok : EXIT_CODES.error;
}

async function live(lab: Lab): Promise<number> {
  const observer = await Observer.start(lab);
  const isTerminal = process.stdout.isTTY;
  let isDefined = lab.record().guests === 0;
  try {
    while (!stop.signal.aborted) {
      isDefined ||= await handOver(lab, observer);
      const machines = isDefined ? await machinesText(lab, observer) : "";
      const text = `${labText(lab, observer)}${machines}\n${await quorateStatus(lab, observer)}`;
      // A terminal is redrawn; a file or a pipe gets one picture after the other.
      print(isTerminal ? `\u001b[H\u001b[2J${text}\nCtrl-C ends the lab.` : text);
      await sleep(STATUS_EVERY_MS, undefined, { signal: stop.signal }).catch(() => {});
    }
    return EXIT_CODES.ok;
  } finally {
    await observer.stop();
  }
}

/** The host that serves, else the first with power. */
function hostToAsk(lab: Lab, observer: Observer): number | undefined {
  const powered = lab.record().hosts.filter((host) => host.init !== null && !host.frozen);
  const ids = powered.map((host) => host.id);
  return ids.find((id) => id === observer.lastHttp?.host) ?? ids[0];
}

/** Once a master serves, the guests are the product's, spread over the nodes; false until then. */
async function handOver(lab: Lab, observer: Observer): Promise<boolean> {
  const master = observer.lastHttp?.host;
  if (master === undefined) return false;
  const ids = lab.record().hosts.map((host) => host.id);
  const interrupted = new Promise<false>((resolve) => {
    stop.signal.addEventListener("abort", () => resolve(false), { once: true });
  });
  const defined = defineGuests(lab, master, ids, STATUS_EVERY_MS).then(
    () => true,
    (error: unknown) => {
      // Somebody's hypervisor is not there yet: a machine that is known already may be defined again.
      if (stop.signal.aborted || error instanceof QuorateError) return false;
      throw error;
    },
  );
  return await Promise.race([defined, interrupted]);
}

async function machinesText(lab: Lab, observer: Observer): Promise<string> {
  const asked = lab.record().guests === 0 ? undefined : hostToAsk(lab, observer);
  if (asked === undefined) return "";
  return guestLines(await readMachines(lab, asked));
}

/** `quorate status` as `hostToAsk` says. */
async function quorateStatus(lab: Lab, observer: Observer): Promise<string> {
  const record = lab.record();
  const asked = hostToAsk(lab, observer);
  if (asked === undefined) return "No host has power.";
  const result = await lab.exec(asked, [...record.quorate, "status"], 10_000).catch(() => null);
  if (result === null || stop.signal.aborted) return "";
  return `node-${asked}$ quorate status\n${result.stdout}${result.stderr}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const exitCode = await main().catch((error: unknown) => reportFailure(error));
// An interrupted drill still waits for something that will not come. What was printed goes out first.
process.stdout.write("", () => process.exit(exitCode));
