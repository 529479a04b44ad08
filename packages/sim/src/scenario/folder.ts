import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import type { ClusterSetup } from "../options.ts";
import { closestNames } from "./closest.ts";
import { readCluster } from "./cluster.ts";
import { readScript, type Script } from "./script.ts";

/** The ones that come with the source. */
export const SCENARIOS_FOLDER = join(import.meta.dirname, "../../scenarios");
export const LOG_FILE = "log.expect";

const FILES = ["README.md", "cluster.conf", LOG_FILE, "script.json"];
const NAME = /^[a-z]+(-[a-z]+)*-[1-9]\d*$/;

export type Scenario = { name: string; folder: string; cluster: ClusterSetup; script: Script };

/** Every scenario's name, sorted. Throws QuorateError SCENARIO_INVALID for a folder that is none. */
export function scenarioNames(folder = SCENARIOS_FOLDER): string[] {
  if (!existsSync(folder))
    throw new QuorateError(
      "SCENARIO_UNKNOWN",
      `There are no scenarios in ${folder}.`,
      "They come with the source: run this in a checkout of it, or name their folder.",
    );
  const entries = readdirSync(folder, { withFileTypes: true });
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.isDirectory() && NAME.test(entry.name)) names.push(entry.name);
    else if (entry.name !== "README.md")
      throw new QuorateError(
        "SCENARIO_INVALID",
        `${join(folder, entry.name)} is no scenario.`,
        "Scenarios are folders named <topic>-<number>, in small letters.",
      );
  }
  return names.toSorted();
}

/**
 * Reads one scenario. Throws QuorateError SCENARIO_UNKNOWN with the names that come near, SCENARIO_INVALID for a
 * file too many or too few and for a broken script, CONFIG_* for a broken configuration. A log that has not been
 * written yet is no error here.
 */
export function readScenario(name: string, folder = SCENARIOS_FOLDER): Scenario {
  const known = scenarioNames(folder);
  if (!known.includes(name)) {
    const close = closestNames(name, known);
    const hint = close.length > 0 ? `Did you mean ${close.join(" or ")}?` : `There are: ${known.join(", ")}.`;
    throw new QuorateError("SCENARIO_UNKNOWN", `There is no scenario ${name}.`, hint);
  }
  const own = join(folder, name);
  const files = readdirSync(own);
  for (const file of files) {
    if (!FILES.includes(file))
      throw new QuorateError(
        "SCENARIO_INVALID",
        `${join(own, file)} does not belong to a scenario.`,
        `There are ${FILES.join(", ")}; take the file away.`,
      );
  }
  for (const file of FILES) {
    if (!files.includes(file) && file !== LOG_FILE)
      throw new QuorateError("SCENARIO_INVALID", `${join(own, file)} is missing.`, "Write it.");
  }
  const text = (file: string) => readFileSync(join(own, file), "utf8");
  return {
    name,
    folder: own,
    cluster: readCluster(text("cluster.conf"), join(own, "cluster.conf")),
    script: readScript(text("script.json"), join(own, "script.json")),
  };
}

/** The log that a scenario is held against; null when it has not been written yet. */
export function expectedLog({ folder }: Scenario): string | null {
  const file = join(folder, LOG_FILE);
  return existsSync(file) ? readFileSync(file, "utf8") : null;
}
