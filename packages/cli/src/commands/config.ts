import { formatDiagnostic, readClusterConfig } from "@quorate/corosync-conf";
import { openBus } from "../bus-client.ts";
import { loadConfiguration, refuseDangerous } from "../configuration-file.ts";
import type { Shown } from "../output.ts";
import { locateNode, type Places, storedRef, takeSnapshot } from "../snapshot.ts";

/** Exit 0, or QuorateError of exit 78 with the messages. */
export function checkFile(file: string): Shown {
  const { text, config, warnings } = loadConfiguration(file);
  refuseDangerous(config, file);
  const result = readClusterConfig(text, file);
  const notes = result.ok ? result.warnings.map((warning) => formatDiagnostic(warning)) : warnings;
  const votes = `${config.totalVotes} votes, quorum ${config.quorumVotes}`;
  const summary = `${file}: good; ${config.clusterName}, ${config.nodes.length} nodes, ${votes}, token ${config.tokenMs} ms`;
  return { json: { ok: true, config, warnings: notes }, text: [...notes, summary, ""].join("\n") };
}

/** The document this node runs on, byte for byte; as JSON its meaning with all defaults. */
export async function showConfiguration(places: Places): Promise<Shown> {
  const snapshot = await takeSnapshot(places);
  return {
    json: {
      ref: storedRef(snapshot),
      source: snapshot.configSource,
      ageMs: snapshot.configAgeMs,
      config: snapshot.config,
    },
    text: snapshot.configText ?? "",
  };
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
