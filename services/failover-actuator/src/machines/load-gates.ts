import { parseArgs } from "node:util";
import { QuorateError } from "@quorate/contracts";
import { decodeText, encodeText, hostConfig } from "@quorate/corosync-conf";
import { createRealMachineGate, type MachineGate } from "@quorate/host";
import {
  createLogger,
  DEFAULT_CONFIG_FILE,
  DEFAULT_STATE_DIR,
  type Logger,
  monotonicUs,
  readRunningConf,
} from "@quorate/runtime";
import { Definitions, holdRecord } from "./definitions.ts";
import { GateHolder } from "./gate-holder.ts";
import { RecordStore } from "./record-store.ts";

export interface LoadGatesOptions {
  readonly stateDir: string;
  /** The operator's file; what runs is in the state folder. */
  readonly configFile: string;
  readonly gate: MachineGate;
  readonly logger: Logger;
}

/**
 * Makes the machines' gates stand, shut, before libvirt starts: for every machine this host has a record of, and every
 * storage that one of them or the configuration names. What stands already is left as it is, open gates too: they are
 * a running node's. Answers with a sentence. Throws QuorateError: as for a service's start, and as the gate's `load`.
 */
export async function loadGates({ stateDir, configFile, gate, logger }: LoadGatesOptions): Promise<string> {
  const text = decodeText(readRunningConf({ stateDir, configFile, logger }, encodeText));
  const { machines } = hostConfig(text, configFile);
  if (machines === undefined) return "The configuration has no section machines: there is nothing to hold.";
  const store = new RecordStore(stateDir);
  const definitions = new Definitions(store, () => Promise.resolve(null));
  const holder = new GateHolder(gate);
  holder.configure(machines.storage);
  let held = 0;
  for (const record of store.peekRecords(logger)) {
    try {
      await holdRecord(record, holder, (digest) => definitions.get(digest, []));
      held += 1;
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      // Its tap is held all the same, as every one of ours that nobody has opened.
      logger.warn({ code: error.code, vm: record.vm }, error.message);
    }
  }
  await holder.load();
  const { open, differences } = await gate.inspect();
  const [difference] = differences;
  if (difference !== undefined) {
    const hint = "See: nft list table inet quorate_machines; nft list table bridge quorate_machines.";
    throw new QuorateError(
      "TOOL_FAILED",
      `The machines' gates are not as they were loaded: ${difference}.`,
      hint,
    );
  }
  const what = `The gates stand, with the storages of ${held} machine${held === 1 ? "" : "s"} of this host`;
  return open.length === 0
    ? `${what}; all are shut.`
    : `${what}; ${open.map(({ vm }) => vm).join(", ")} ${open.length === 1 ? "is" : "are"} open: a node runs here.`;
}

/** `load-gates --node-id N [--state-dir DIR] [--config FILE]`: once, without a bus, before anything of a node runs. */
export async function runLoadGates(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      "node-id": { type: "string", default: "0" },
      "state-dir": { type: "string", default: DEFAULT_STATE_DIR },
      config: { type: "string", default: DEFAULT_CONFIG_FILE },
    },
  });
  const gate = createRealMachineGate({ nowUs: monotonicUs });
  try {
    const logger = createLogger({ service: "load-gates", node: Number(values["node-id"]) });
    const said = await loadGates({ stateDir: values["state-dir"], configFile: values.config, gate, logger });
    process.stdout.write(`${said}\n`);
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    process.stderr.write(`${error.message}\n  what to do: ${error.hint}\n`);
    process.exitCode = error.exitCode;
  } finally {
    await gate.close();
  }
}
