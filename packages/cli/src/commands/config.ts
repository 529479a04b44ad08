import { EXIT_CODES } from "@quorate/contracts";
import { readHostConfig, renderCheck, renderShow, shownValues } from "@quorate/corosync-conf";
import { openBus } from "../bus-client.ts";
import { readConfigurationFile } from "../configuration-file.ts";
import type { Shown } from "../output.ts";
import { locateNode, type Places, storedRef, takeSnapshot } from "../snapshot.ts";

/** All findings, also those of a file that is good; exit 0, or 78 when a node would not start with it. */
export function checkFile(file: string): Shown {
  const result = readHostConfig(readConfigurationFile(file), file);
  const { text, exitCode } = renderCheck(file, result);
  const json = {
    ok: exitCode === EXIT_CODES.ok,
    diagnostics: result.ok ? result.warnings : result.diagnostics,
    config: result.ok ? result.config : null,
  };
  return { json, text, exit: exitCode };
}

/**
 * The document this node runs on, byte for byte; as JSON its meaning. `effective`: every value that counts, and
 * whether it stands in the document, is a default, or follows from others.
 */
export async function showConfiguration(places: Places, effective = false): Promise<Shown> {
  const snapshot = await takeSnapshot(places);
  const text = snapshot.configText ?? "";
  const json = {
    ref: storedRef(snapshot),
    source: snapshot.configSource,
    ageMs: snapshot.configAgeMs,
    config: snapshot.config,
  };
  if (!effective) return { json, text };
  const read = readHostConfig(text, "running.conf");
  // A document that cannot be read is none: the snapshot has no config then either.
  return read.ok
    ? { json: { ...json, values: shownValues(read) }, text: renderShow(read) }
    : { json: { ...json, values: [] }, text: "" };
}

const HISTORY_LIMIT_MS = 2000;

export async function showHistory(places: Places, limit: number): Promise<Shown> {
  const where = locateNode(places);
  const bus = await openBus(where);
  try {
    const { entries } = await bus.request(
      "config-distributor",
      "history",
      where.nodeId,
      { limit },
      HISTORY_LIMIT_MS,
    );
    const lines = entries.map(({ ref, storedAt, from, reason }) => {
      const who = from === null ? "" : ` from node ${from}`;
      return `version ${ref.version} term ${ref.term} ${ref.digest.slice(0, 12)} ${storedAt}${who}: ${reason.message}\n`;
    });
    return { json: entries, text: lines.join("") };
  } finally {
    await bus.close();
  }
}
