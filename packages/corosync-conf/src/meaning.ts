import type { ClusterConfig } from "@quorate/contracts";
import { QuorateError } from "@quorate/contracts";
import type { Diagnostic } from "./diagnostic.ts";
import { formatDiagnostic, sortedByPlace } from "./diagnostic.ts";
import type { ConfDocument, ConfSection } from "./document.ts";
import { sectionsNamed } from "./document.ts";
import { Findings } from "./findings.ts";
import { readPowerDevices, readWatchdog } from "./meaning-fencing.ts";
import { readNodes } from "./meaning-nodes.ts";
import { quorumSection, readVotes, reportNotHonoured } from "./meaning-quorum.ts";
import { readMachines } from "./meaning-machines.ts";
import { readClusterIps, readManagedService, readPlaces, readPorts } from "./meaning-services.ts";
import { readRings, readTotem } from "./meaning-totem.ts";
import { parseDocument } from "./syntax.ts";
import { TypedSection } from "./typed-section.ts";
import { reportWithoutEffect } from "./unknown.ts";

/** What the reader is told beside the text. */
export interface ReadOptions {
  /** Address of a host name, for files with names in `ring0_addr`; see `hostsResolver`. DNS is never asked. */
  readonly resolveName?: ((name: string) => string | undefined) | undefined;
}

export interface ReadConfig {
  readonly ok: true;
  readonly config: ClusterConfig;
  readonly document: ConfDocument;
  /** Warnings and notes; each of `config.notHonoured` is among them. */
  readonly warnings: readonly Diagnostic[];
}

export interface RefusedConfig {
  readonly ok: false;
  /** Meaning is looked at only when the syntax is right. */
  readonly stage: "syntax" | "meaning";
  /** The errors; for `meaning` everything else as well, in reading order. */
  readonly diagnostics: readonly Diagnostic[];
}

export type ReadResult = ReadConfig | RefusedConfig;

/**
 * Reads and checks a whole file: all problems at once, each with its place and a remedy. Never throws.
 * A config that is returned may still hold dangerous entries in `notHonoured`: a node must refuse to start then.
 */
export function readClusterConfig(text: string, fileName: string, options: ReadOptions = {}): ReadResult {
  const parsed = parseDocument(text, fileName);
  if (!parsed.ok) return { ok: false, stage: "syntax", diagnostics: parsed.diagnostics };
  const { document } = parsed;
  const findings = new Findings(fileName);
  const config = readMeaning(document.root, options, findings);
  const diagnostics = sortedByPlace([...parsed.warnings, ...findings.all()]);
  if (findings.hasErrors) {
    return { ok: false, stage: "meaning", diagnostics };
  }
  return { ok: true, config, document, warnings: diagnostics };
}

/** The error for a shell to end with: every message on a line of its own. */
export function refusalError(refused: RefusedConfig): QuorateError {
  const errors = refused.diagnostics.filter((diagnostic) => diagnostic.severity === "error");
  const code = refused.stage === "syntax" ? "CONFIG_SYNTAX" : "CONFIG_INVALID";
  const message = errors.map(formatDiagnostic).join("\n");
  return new QuorateError(
    code,
    message,
    "correct the file; `quorate config check FILE` checks it without touching anything",
  );
}

function readMeaning(root: ConfSection, options: ReadOptions, findings: Findings): ClusterConfig {
  const totem = readTotem(root, findings);
  const quorum = quorumSection(root, findings);
  const defaults = { votes: quorum.integerOrDefault("votes").value, resolveName: options.resolveName };
  const nodes = readNodes(root, defaults, findings);
  const rings = readRings(totem, nodes, findings);
  const votes = readVotes(quorum, nodes, findings);
  reportNotHonoured(root, quorum, votes, nodes, findings);
  reportOtherNotHonoured(root, findings);
  const clusterIps = readClusterIps(root, nodes, findings);
  const ihttpdPorts = readPorts(root, findings);
  const managedService = readManagedService(root, findings);
  const machines = readMachines(root, findings);
  const powerDevices = readPowerDevices(
    root,
    nodes.map(({ config }) => config.id),
    findings,
  );
  const watchdog = readWatchdog(root, totem.tokenMs, findings);
  const places = readPlaces(root, ihttpdPorts, findings);
  reportWithoutEffect(root, findings);
  return {
    clusterName: totem.clusterName,
    configVersion: totem.configVersion,
    tokenMs: totem.tokenMs,
    transport: totem.transport,
    rings,
    ...votes,
    ihttpdPorts,
    nodes: nodes.map((node) => node.config),
    clusterIps,
    managedService,
    ...(machines === undefined ? {} : { machines }),
    ...(powerDevices === undefined ? {} : { powerDevices }),
    ...(watchdog === undefined ? {} : { watchdog }),
    ...places,
    notHonoured: findings.allNotHonoured(),
  };
}

function reportOtherNotHonoured(root: ConfSection, findings: Findings): void {
  const resources = new TypedSection("resources", sectionsNamed(root, "resources"), findings, root);
  const watchdog = resources.string("watchdog_device");
  if (watchdog?.place !== undefined && watchdog.value !== "off") {
    const message = "watchdog_device is not honoured: corosync would feed that watchdog";
    findings.notHonoured(
      watchdog.place,
      "resources.watchdog_device",
      false,
      message,
      "delete it; ours is configured in the section fencing.watchdog",
    );
  }
  for (const nozzle of sectionsNamed(root, "nozzle")) {
    findings.notHonoured(
      nozzle,
      "nozzle",
      false,
      "the nozzle device is not honoured: no such network interface is made",
      "delete the section",
    );
  }
}
