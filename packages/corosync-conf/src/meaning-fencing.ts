import { isDeepStrictEqual } from "node:util";
import type { NodeId, PowerDeviceConfig, WatchdogConfig } from "@quorate/contracts";
import type { ConfSection } from "./document.ts";
import { keysOf, sectionsNamed } from "./document.ts";
import type { Findings } from "./findings.ts";
import { SECRET_KEY } from "./reference-fencing.ts";
import { TypedSection } from "./typed-section.ts";

/** A process that is killed is back, and knows its lease, within one. */
const WATCHDOG_TOKENS = 3;
const OURS: readonly string[] = ["node", "agent", "timeout", "secrets_file"];

/** The section `fencing.watchdog`; undefined without it. */
export function readWatchdog(
  root: ConfSection,
  tokenMs: number,
  findings: Findings,
): WatchdogConfig | undefined {
  const sections = sectionsNamed(root, "fencing").flatMap((section) => sectionsNamed(section, "watchdog"));
  const [first] = sections;
  if (first === undefined) return undefined;
  const typed = new TypedSection("fencing.watchdog", sections, findings, first);
  const timeout = typed.integerOrDefault("timeout");
  const place = timeout.place ?? first;
  const leastMs = WATCHDOG_TOKENS * tokenMs;
  if (timeout.value % 1000 !== 0)
    findings.error(
      place,
      `a watchdog takes whole seconds, not ${timeout.value} ms`,
      "write a multiple of 1000",
    );
  if (timeout.value < leastMs) {
    const what = `a watchdog of ${timeout.value} ms may bite before a lease of ${tokenMs} ms is renewed`;
    findings.error(place, what, `write ${leastMs} or more: three tokens`);
  }
  if (sectionsNamed(root, "machines").length === 0) {
    const what = "a watchdog has no effect without the section machines";
    findings.warning(first, what, "it is armed for machines alone; delete it, or add machines");
  }
  return {
    device: typed.stringOrDefault("device").value,
    timeoutMs: timeout.value,
    softdog: typed.booleanOrDefault("softdog").value,
  };
}

/** The power devices of the section `fencing`; undefined without any. */
export function readPowerDevices(
  root: ConfSection,
  nodes: readonly NodeId[],
  findings: Findings,
): PowerDeviceConfig[] | undefined {
  const sections = sectionsNamed(root, "fencing").flatMap((section) => sectionsNamed(section, "device"));
  const [first] = sections;
  if (first === undefined) return undefined;
  const devices: PowerDeviceConfig[] = [];
  for (const section of sections) {
    const device = readDevice(section, nodes, findings);
    if (device === null) continue;
    const twin = devices.find((other) => cutsTheSame(other, device));
    if (twin !== undefined) {
      const what = `nodes ${twin.node} and ${device.node} have the same device, by the same parameters`;
      findings.error(section, what, "name each node's own plug or board: one of them would be taken for off");
    } else if (devices.some(({ node }) => node === device.node)) {
      const what = `node ${device.node} has two devices`;
      findings.error(
        section,
        what,
        "keep one: which is asked, and whether one is enough, is not ours to guess",
      );
    } else devices.push(device);
  }
  if (sectionsNamed(root, "machines").length === 0) {
    const what = "a power device has no effect without the section machines";
    findings.warning(first, what, "hosts are switched off for machines alone; delete it, or add machines");
  }
  return devices.sort((left, right) => left.node - right.node);
}

/** For another node: the same agent, told the same, cuts the same plug. */
function cutsTheSame(one: PowerDeviceConfig, other: PowerDeviceConfig): boolean {
  const told = ({ agent, parameters, secretsFile }: PowerDeviceConfig) => ({
    agent,
    parameters,
    secretsFile,
  });
  return one.node !== other.node && isDeepStrictEqual(told(one), told(other));
}

function readDevice(
  section: ConfSection,
  nodes: readonly NodeId[],
  findings: Findings,
): PowerDeviceConfig | null {
  const typed = new TypedSection("fencing.device", [section], findings, section);
  for (const key of ["node", "agent"]) {
    if (!typed.isWritten(key))
      findings.error(section, `the section fencing.device has no ${key}`, `add ${key}:`);
  }
  for (const entry of keysOf(section)) {
    if (entry.key === "action")
      findings.error(entry, '"action" is not yours to give', "delete it: the master asks for status and off");
    if (SECRET_KEY.test(entry.key)) {
      const what = `"${entry.key}" looks like a secret, and this file is copied to all nodes, kept and shown`;
      const how = `write ${entry.key}=… into a file with mode 0600 on every node, and name it behind secrets_file`;
      findings.error(entry, what, how);
    }
  }
  const node = typed.integer("node");
  const agent = typed.string("agent");
  if (node !== undefined && !nodes.includes(node.value)) {
    const what = `node ${node.value} is not in the node list`;
    findings.error(node.place ?? section, what, `write one of ${nodes.join(", ")}`);
    return null;
  }
  if (node === undefined || agent === undefined) return null;
  const parameters = typed.keys().flatMap((key) => {
    const found = OURS.includes(key) ? undefined : typed.get(key);
    return found === undefined ? [] : [[found.entry.key, String(found.value)] as const];
  });
  return {
    node: node.value,
    agent: agent.value,
    timeoutMs: typed.integerOrDefault("timeout").value,
    parameters: Object.fromEntries(parameters),
    secretsFile: typed.string("secrets_file")?.value ?? null,
  };
}
