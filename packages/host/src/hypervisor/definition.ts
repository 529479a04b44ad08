import { isIP } from "node:net";
import { posix } from "node:path";
import {
  DEFINITION_LIMIT_BYTES,
  DEFINITION_LIMIT_NAMESPACES,
  DEFINITION_LIMIT_TAGS,
  printable,
  QuorateError,
  quotedShort,
} from "@quorate/contracts";
import { DOMParser, type Document, type Element, XMLSerializer } from "@xmldom/xmldom";
import type { MachineDefinition, MachineDisk, MachineNic, StorageEndpoint } from "./hypervisor.ts";
import { machineUser, tapName } from "./machine-number.ts";

/** Ports that libvirt takes where a definition names none. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = { nbd: 10809, iscsi: 3260, rbd: 6789 };
/** Those of which the definition names every connection. Ceph names its monitors, and then writes to others. */
const WHOLE_PROTOCOLS: ReadonlySet<string> = new Set(["nbd", "iscsi"]);
const UNITS_IN_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  bytes: 1,
  KB: 1000,
  k: 1024,
  KiB: 1024,
  MB: 1_000_000,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  GB: 1_000_000_000,
  G: 1024 ** 3,
  GiB: 1024 ** 3,
};
const WORDS_LIMIT = 120;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.+-]{0,62}$/;
const UUID = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;

function broken(where: string, what: string, hint: string): QuorateError {
  return new QuorateError("DEFINITION_BROKEN", `${where}: ${what}.`, hint);
}

/**
 * What a domain's XML says. Throws QuorateError DEFINITION_BROKEN, with the place, where it is no XML or lacks what a
 * machine needs, and where it is larger than the parser can be trusted with. `fileName` stands in the messages. `sharedMounts`: folders that all hosts have from the same place.
 */
export function readDefinition(
  xml: string,
  fileName: string,
  sharedMounts: readonly string[] = [],
): MachineDefinition {
  const domain = parse(xml, fileName);
  const name = textOf(domain, "name") ?? "";
  if (!NAME.test(name)) {
    throw broken(
      placeOf(domain, fileName),
      name === "" ? "the machine has no name" : `${quotedShort(name)} cannot be a machine's name here`,
      "Give it a <name> of at most 63 letters, digits and _ . + - that begins with a letter or digit.",
    );
  }
  const uuid = readUuid(domain, name, fileName);
  const devices = child(domain, "devices");
  const disks =
    devices === null
      ? []
      : children(devices, "disk").flatMap((disk) => readDisk(disk, fileName, sharedMounts));
  const nics = devices === null ? [] : children(devices, "interface").map(readNic);
  return {
    name,
    uuid,
    memoryMib: readMemory(domain, fileName),
    vcpus: readVcpus(domain, fileName),
    disks,
    nics,
    obstacles: obstaclesOf(disks, nics, devices),
  };
}

/**
 * The XML that is started: the same machine, its process run as a user of its own (by which the kernel tells its
 * connections from others') and its taps named so that the gate holds them from the moment they appear.
 */
export function prepareDefinition(xml: string, { number }: { readonly number: number }): string {
  const domain = parse(xml, "the definition");
  setUser(domain, machineUser(number));
  const devices = child(domain, "devices");
  const disks = devices === null ? [] : children(devices, "disk");
  for (const disk of disks) if (disk.getAttribute("type") === "network") holdOnTrouble(disk);
  const nics = devices === null ? [] : children(devices, "interface").filter((nic) => readNic(nic).gated);
  for (const [index, nic] of nics.entries())
    obtain(nic, "target").setAttribute("dev", tapName(number, index));
  return new XMLSerializer().serializeToString(domain);
}

/** Its files become that user's, as far as libvirt gives files to users at all. */
function setUser(domain: Element, user: number): void {
  for (const label of children(domain, "seclabel")) {
    if (label.getAttribute("model") === "dac") domain.removeChild(label);
  }
  const seclabel = append(domain, "seclabel");
  for (const [key, value] of Object.entries({ type: "static", model: "dac", relabel: "yes" })) {
    seclabel.setAttribute(key, value);
  }
  append(seclabel, "label").textContent = `+${user}:+${user}`;
}

/**
 * After its connection was reset, which a shut gate does, QEMU's NBD client fails one request or two before it connects
 * anew. The guest must not see that: it is paused in that moment, and the request is repeated when it is resumed.
 */
function holdOnTrouble(disk: Element): void {
  const driver = child(disk, "driver");
  const policies = driver ?? append(disk, "driver");
  if (driver === null) policies.setAttribute("name", "qemu");
  for (const policy of ["error_policy", "rerror_policy"]) {
    if (!policies.hasAttribute(policy)) policies.setAttribute(policy, "stop");
  }
}

function obtain(parent: Element, tag: string): Element {
  return child(parent, tag) ?? append(parent, tag);
}

function append(parent: Element, tag: string): Element {
  const element = (parent.ownerDocument as Document).createElement(tag);
  parent.appendChild(element);
  return element;
}

/** What the parser hands to its complaints. */
interface Located {
  readonly locator?: { readonly lineNumber?: number; readonly columnNumber?: number };
}

/** The parser's time grows with the square of what is nested: nothing beyond the limits reaches it. */
function refuseTooLarge(xml: string, fileName: string): void {
  const hint = "Take out what libvirt does not need: metadata, comments.";
  const bytes = Buffer.byteLength(xml);
  if (bytes > DEFINITION_LIMIT_BYTES) {
    const limit = `${DEFINITION_LIMIT_BYTES / 1024} KiB`;
    throw broken(
      fileName,
      `it has ${Math.ceil(bytes / 1024)} KiB; a definition has ${limit} at the most`,
      hint,
    );
  }
  const counted = [
    { limit: DEFINITION_LIMIT_TAGS, mark: "<", what: "tags" },
    { limit: DEFINITION_LIMIT_NAMESPACES, mark: "xmlns", what: "declarations of namespaces" },
  ];
  for (const { limit, mark, what } of counted) {
    if (xml.split(mark, limit + 2).length - 1 > limit)
      throw broken(fileName, `it has more than ${limit} ${what}, which no machine needs`, hint);
  }
}

function parse(xml: string, fileName: string): Element {
  refuseTooLarge(xml, fileName);
  const faults: { place: string; words: string }[] = [];
  let document: Document | undefined;
  try {
    document = new DOMParser({
      onError: (level, message, context) => {
        if (level === "warning") return;
        const { lineNumber, columnNumber } = (context as Located).locator ?? {};
        // What has no beginning is at line 0 for the parser.
        faults.push({ place: `:${Math.max(1, lineNumber ?? 1)}:${columnNumber ?? 1}`, words: message });
      },
    }).parseFromString(xml, "text/xml");
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    if (faults.length === 0) faults.push({ place: ":1:1", words });
  }
  const [fault] = faults;
  const hint = "Correct the XML at that place; virsh dumpxml NAME prints what libvirt itself has.";
  if (fault !== undefined) throw broken(fileName + fault.place, wordsOf(fault.words), hint);
  const domain = document?.documentElement ?? null;
  if (domain === null || domain.tagName !== "domain") {
    throw broken(`${fileName}:1:1`, "this is no <domain> of libvirt", hint);
  }
  return domain;
}

function wordsOf(words: string): string {
  const [first = words] = words.split("\n");
  const bare = first
    .replace(/^\[xmldom \w+\]\s*/, "")
    .replace(/@?#?\[line:.*$/, "")
    .trim();
  // The parser quotes what it met, however long.
  return printable(bare.length > WORDS_LIMIT ? `${bare.slice(0, WORDS_LIMIT)}…` : bare);
}

function placeOf(element: Element, fileName: string): string {
  return `${fileName}:${element.lineNumber ?? 1}:${element.columnNumber ?? 1}`;
}

function children(parent: Element, tag: string): Element[] {
  const found: Element[] = [];
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (node.nodeType === 1 && (node as Element).tagName === tag) found.push(node as Element);
  }
  return found;
}

function child(parent: Element, tag: string): Element | null {
  return children(parent, tag)[0] ?? null;
}

function textOf(parent: Element, tag: string): string | null {
  return child(parent, tag)?.textContent?.trim() ?? null;
}

/** In one form, however it is written: by it machines are told apart, and their numbers made. */
function readUuid(domain: Element, name: string, fileName: string): string {
  const text = textOf(domain, "uuid") ?? "";
  const parts = UUID.exec(text)?.slice(1);
  if (parts !== undefined) return parts.join("-").toLowerCase();
  throw broken(
    placeOf(child(domain, "uuid") ?? domain, fileName),
    text === "" ? `${name} has no UUID` : `${quotedShort(text)} is no UUID`,
    "Give it one: <uuid> with what uuidgen prints. It must stay the same on every host.",
  );
}

function readMemory(domain: Element, fileName: string): number {
  const element = child(domain, "memory");
  const amount = Number(element?.textContent?.trim() ?? Number.NaN);
  const unit = UNITS_IN_BYTES[element?.getAttribute("unit") ?? "KiB"];
  if (element !== null && Number.isSafeInteger(amount) && amount > 0 && unit !== undefined)
    return Math.ceil((amount * unit) / 1024 ** 2);
  throw broken(
    placeOf(element ?? domain, fileName),
    "the machine has no memory that can be read",
    "Write, for instance, <memory unit='MiB'>2048</memory>.",
  );
}

function readVcpus(domain: Element, fileName: string): number {
  const element = child(domain, "vcpu");
  if (element === null) return 1;
  const vcpus = Number(element.textContent?.trim());
  if (Number.isSafeInteger(vcpus) && vcpus > 0) return vcpus;
  throw broken(
    placeOf(element, fileName),
    `${quotedShort(element.textContent?.trim() ?? "")} is no number of processors`,
    "Write, for instance, <vcpu>2</vcpu>.",
  );
}

/** None for a drive without a medium. */
function readDisk(disk: Element, fileName: string, sharedMounts: readonly string[]): MachineDisk[] {
  const source = child(disk, "source");
  if (source === null) return [];
  const target = child(disk, "target")?.getAttribute("dev") ?? "?";
  const writing = writingOf(disk);
  if (disk.getAttribute("type") === "network") {
    const protocol = source.getAttribute("protocol") ?? "?";
    const endpoints = children(source, "host").map((host) => readEndpoint(host, protocol, fileName));
    const name = `${protocol}:${source.getAttribute("name") ?? ""}`;
    return [{ target, kind: "network", source: name, endpoints, writing }];
  }
  // A medium that is only read can be had everywhere, or is left out: nothing is lost with it.
  if (writing === "none") return [];
  const path = pathOf(source);
  const isShared = sharedMounts.some((mount) => posix.normalize(path).startsWith(`${mount}/`));
  return [{ target, kind: isShared ? "shared-mount" : "local", source: path, endpoints: [], writing }];
}

function writingOf(disk: Element): MachineDisk["writing"] {
  if (disk.getAttribute("device") === "cdrom" || child(disk, "readonly") !== null) return "none";
  return child(disk, "shareable") === null ? "alone" : "shareable";
}

/** A volume is called so in its pool only. */
function pathOf(source: Element): string {
  const [path] = ["file", "dev", "dir"].flatMap((key) => source.getAttribute(key) || []);
  if (path !== undefined) return path;
  const volume = source.getAttribute("volume") ?? "";
  return volume === "" ? "?" : `${source.getAttribute("pool") ?? "?"}/${volume}`;
}

function readEndpoint(host: Element, protocol: string, fileName: string): StorageEndpoint {
  const address = host.getAttribute("name") ?? "";
  const port = Number(host.getAttribute("port") ?? DEFAULT_PORTS[protocol] ?? Number.NaN);
  if (
    host.getAttribute("transport") !== "unix" &&
    isIP(address) !== 0 &&
    Number.isSafeInteger(port) &&
    port > 0
  )
    return { address, port };
  throw broken(
    placeOf(host, fileName),
    `the storage ${quotedShort(address)} cannot be held by a gate`,
    "Name it by a numeric address and a port: <host name='10.0.9.1' port='10809'/>.",
  );
}

function readNic(nic: Element): MachineNic {
  const kind = nic.getAttribute("type") ?? "?";
  const source = child(nic, "source");
  const name =
    ["bridge", "network", "dev"].map((key) => source?.getAttribute(key) ?? null).find(Boolean) ?? "";
  const port = child(nic, "virtualport")?.getAttribute("type") ?? null;
  const isTap = kind === "bridge" && port === null;
  return { kind: port === null ? kind : `${kind} (${port})`, source: name, gated: isTap };
}

function obstaclesOf(
  disks: readonly MachineDisk[],
  nics: readonly MachineNic[],
  devices: Element | null,
): string[] {
  const obstacles: string[] = [];
  for (const { target, kind, source, endpoints } of disks) {
    const [protocol = ""] = source.split(":", 1);
    if (kind === "network" && (endpoints.length === 0 || !WHOLE_PROTOCOLS.has(protocol)))
      obstacles.push(`disk ${target} (${source}) has connections that its definition does not name`);
    if (kind === "local") obstacles.push(`disk ${target} lies on this host alone (${source})`);
    if (kind === "shared-mount")
      obstacles.push(
        `disk ${target} is reached through this host's kernel (${source}), which no gate of one machine holds`,
      );
  }
  for (const { kind, source, gated } of nics) {
    if (!gated)
      obstacles.push(`the interface of type ${kind} on ${source === "" ? "?" : source} passes by the gate`);
  }
  if (devices === null) return obstacles;
  for (const tag of ["hostdev", "filesystem", "shmem"]) {
    const count = children(devices, tag).length;
    if (count > 0) obstacles.push(`it has ${count} <${tag}> of this host`);
  }
  for (const disk of children(devices, "disk")) {
    const base = child(disk, "backingStore");
    if (base !== null && child(base, "source") !== null)
      obstacles.push(`disk ${child(disk, "target")?.getAttribute("dev") ?? "?"} stands on another image`);
  }
  if (child(devices.parentNode as Element, "qemu:commandline") !== null)
    obstacles.push("it has arguments of its own for QEMU, which nobody here understands");
  return obstacles.map(printable);
}
