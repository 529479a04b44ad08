import type { ClusterConfig, ClusterIp, ManagedServiceConfig } from "@quorate/contracts";
import { networkRole, parseAddress, parsePrefixLength } from "./addresses.ts";
import type { Place } from "./diagnostic.ts";
import type { ConfSection } from "./document.ts";
import { sectionsNamed } from "./document.ts";
import type { Findings } from "./findings.ts";
import type { PlacedNode } from "./meaning-nodes.ts";
import { TypedSection } from "./typed-section.ts";

const NOWHERE: Place = { line: 1, column: 1 };
/** Shorter timeouts are more likely seconds written where milliseconds stand. */
const SHORT_TIMEOUT_MS = 1000;

function typedOf(root: ConfSection, path: string, findings: Findings): TypedSection {
  return new TypedSection(path, sectionsNamed(root, path), findings, NOWHERE);
}

/** Every `cluster_ip`, in the order of the file. */
export function readClusterIps(
  root: ConfSection,
  nodes: readonly PlacedNode[],
  findings: Findings,
): ClusterIp[] {
  const clusterIps: ClusterIp[] = [];
  const seen = new Map<string, { readonly whose: string; readonly line: number }>();
  for (const { config, addressPlaces, place } of nodes) {
    for (const [ring, address] of config.addresses.entries()) {
      seen.set(address, {
        whose: `the ring${ring}_addr of node ${config.id}`,
        line: (addressPlaces[ring] ?? place).line,
      });
    }
  }
  const sections = sectionsNamed(root, "cluster_ip");
  if (sections.length === 0) {
    const remedy =
      "add cluster_ip { with address:, CloudIpDev: and CloudMask: for one that moves with the role";
    findings.note(NOWHERE, "there is no cluster_ip, so the master holds no address", remedy);
  }
  for (const section of sections) {
    const typed = new TypedSection("cluster_ip", [section], findings, section);
    if (!typed.isWritten("address")) {
      findings.error(
        section,
        "the cluster_ip has no address",
        "add address: with the address that the master answers for",
      );
    }
    const given = typed.string("address");
    const address = parseAddress(given?.value ?? "");
    if (given?.place === undefined || address === undefined) continue;
    const prefixLength = readPrefixLength(typed, address.family, findings);
    if (prefixLength === undefined) continue;
    const earlier = seen.get(address.text);
    if (earlier !== undefined) {
      const remedy = "take an address that no host has: it moves from node to node";
      findings.error(
        given.place,
        `the cluster address ${address.text} is ${earlier.whose} (line ${earlier.line})`,
        remedy,
      );
    }
    seen.set(address.text, { whose: "another cluster_ip", line: given.place.line });
    const role = networkRole(address, prefixLength);
    if (role !== "host") {
      const what = `the cluster address ${address.text} is the ${role === "network" ? "address of the network" : "broadcast address"} of its /${prefixLength}`;
      findings.error(given.place, what, "take an address inside the network, or correct the mask");
    }
    const device = typed.stringOrDefault("CloudIpDev").value;
    clusterIps.push({ address: address.text, family: address.family, device, prefixLength });
  }
  return clusterIps;
}

function readPrefixLength(typed: TypedSection, family: 4 | 6, findings: Findings): number | undefined {
  const full = family === 4 ? 32 : 128;
  const mask = typed.string("CloudMask");
  if (mask?.place === undefined) return full;
  const length = parsePrefixLength(mask.value, family);
  if (length !== undefined && length > 0) return length;
  const example = family === 4 ? "24 or 255.255.255.0" : "64";
  findings.error(
    mask.place,
    `"${mask.value}" is no mask of an IPv${family} address`,
    `write a length from 1 to ${full}, as ${example}`,
  );
  return undefined;
}

/** `ihttpd`: port0 … portN-1. */
export function readPorts(root: ConfSection, findings: Findings): number[] {
  const typed = typedOf(root, "ihttpd", findings);
  const written = typed.keys().filter((key) => key.startsWith("port"));
  const count = typed.integer("count");
  const wanted = count?.value ?? written.length;
  const ports: number[] = [];
  for (let index = 0; index < wanted; index += 1) {
    const key = `port${index}`;
    const port = typed.integer(key);
    if (port?.place === undefined) {
      if (typed.isWritten(key)) continue;
      const what =
        count === undefined
          ? `"${key}" is missing before a higher one`
          : `"count" is ${wanted}, but there is no ${key}`;
      findings.error(
        count?.place ?? typed.place,
        what,
        `add ${key}: with a port, or correct ${count === undefined ? "the numbers" : "count"}`,
      );
      continue;
    }
    if (ports.includes(port.value)) {
      findings.error(
        port.place,
        `the port ${port.value} is there twice`,
        "give each port once, and count them again",
      );
    }
    ports.push(port.value);
  }
  for (const key of written) {
    if (Number(key.slice("port".length)) < wanted || count === undefined) continue;
    findings.warning(
      typed.placeOf(key),
      `"${key}" has no effect: "count" is ${wanted}`,
      "raise count, or delete the port",
    );
  }
  return ports;
}

/** At most one `managed_service`, with either `unit` or `command`. */
export function readManagedService(root: ConfSection, findings: Findings): ManagedServiceConfig {
  const [section, ...others] = sectionsNamed(root, "managed_service");
  if (section === undefined) return { kind: "none" };
  for (const other of others) {
    const what = `there is already a managed_service, in line ${section.line}`;
    findings.error(other, what, "let one unit or command start whatever belongs together");
  }
  const typed = new TypedSection("managed_service", [section], findings, section);
  const unit = typed.string("unit");
  const command = typed.string("command");
  const startTimeoutMs = readTimeout(typed, "start_timeout", findings);
  const stopTimeoutMs = readTimeout(typed, "stop_timeout", findings);
  if (typed.isWritten("unit") && typed.isWritten("command")) {
    findings.error(
      typed.placeOf("command"),
      "the managed_service has both a unit and a command",
      "delete one of them",
    );
  }
  if (!typed.isWritten("unit") && !typed.isWritten("command")) {
    findings.error(
      section,
      "the managed_service has neither a unit nor a command",
      "add unit: or command:, or delete the section",
    );
  }
  if (unit !== undefined) return { kind: "unit", unit: unit.value, startTimeoutMs, stopTimeoutMs };
  if (command !== undefined)
    return { kind: "command", command: command.value, startTimeoutMs, stopTimeoutMs };
  return { kind: "none" };
}

function readTimeout(typed: TypedSection, key: string, findings: Findings): number {
  const timeoutMs = typed.integerOrDefault(key);
  if (timeoutMs.place !== undefined && timeoutMs.value < SHORT_TIMEOUT_MS) {
    findings.warning(
      timeoutMs.place,
      `"${key}" is ${timeoutMs.value} milliseconds`,
      `write ${timeoutMs.value}000 if seconds were meant`,
    );
  }
  return timeoutMs.value;
}

export type Places = Pick<ClusterConfig, "routePort" | "lockFile" | "relocatedMarker" | "disarmedUntil">;

/** The small sections: bus, paths, automation. */
export function readPlaces(root: ConfSection, ihttpdPorts: readonly number[], findings: Findings): Places {
  const bus = typedOf(root, "bus", findings);
  const paths = typedOf(root, "paths", findings);
  const automation = typedOf(root, "automation", findings);
  const routePort = bus.integerOrDefault("route_port");
  if (ihttpdPorts.includes(routePort.value)) {
    const place = routePort.place ?? sectionsNamed(root, "ihttpd")[0] ?? NOWHERE;
    findings.error(
      place,
      `the port ${routePort.value} is the managed service's and the message servers'`,
      "write another port behind route_port in the section bus",
    );
  }
  const lockFile = paths.string("lock_file");
  const relocatedMarker = paths.string("relocated_marker");
  if (relocatedMarker?.place !== undefined && lockFile?.value === relocatedMarker.value) {
    findings.error(
      relocatedMarker.place,
      "the lock file and the marker are the same file",
      "give each a path of its own",
    );
  }
  const disarmedUntil = automation.string("disarmed_until");
  return {
    routePort: routePort.value,
    ...(lockFile === undefined ? {} : { lockFile: lockFile.value }),
    ...(relocatedMarker === undefined ? {} : { relocatedMarker: relocatedMarker.value }),
    ...(disarmedUntil === undefined ? {} : { disarmedUntil: disarmedUntil.value }),
  };
}
