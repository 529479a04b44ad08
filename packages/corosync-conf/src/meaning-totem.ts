import type { ClusterConfig, Ring } from "@quorate/contracts";
import { parseAddress } from "./addresses.ts";
import type { Place } from "./diagnostic.ts";
import type { ConfSection } from "./document.ts";
import { sectionsNamed } from "./document.ts";
import type { Findings } from "./findings.ts";
import type { PlacedNode } from "./meaning-nodes.ts";
import { interfaceSections } from "./members.ts";
import { outlivesRestart, TOKEN_RESTART_MS } from "./timing.ts";
import { TypedSection } from "./typed-section.ts";

type Transport = ClusterConfig["transport"];

export interface Totem {
  readonly clusterName: string;
  readonly configVersion: number;
  readonly tokenMs: number;
  readonly transport: Transport;
  readonly interfaces: ReadonlyMap<number, TypedSection>;
}

const PATIENT_TOKEN_MS = 10_000;

/** The totem sections: who we are, how fast, and how heartbeats travel. */
export function readTotem(root: ConfSection, findings: Findings): Totem {
  const typed = new TypedSection("totem", sectionsNamed(root, "totem"), findings, { line: 1, column: 1 });
  const interfaces = readInterfaces(root, findings);
  const tokenMs = typed.integerOrDefault("token");
  if (tokenMs.place !== undefined) checkToken(tokenMs.value, tokenMs.place, findings);
  return {
    clusterName: typed.stringOrDefault("cluster_name").value,
    configVersion: typed.integerOrDefault("config_version").value,
    tokenMs: tokenMs.value,
    transport: readTransport(typed, interfaces, findings),
    interfaces,
  };
}

function checkToken(tokenMs: number, place: Place, findings: Findings): void {
  if (!outlivesRestart(tokenMs)) {
    const what = `with "token" ${tokenMs} ms the crash of one of our own processes may cost the role`;
    findings.note(
      place,
      what,
      `a restart takes about 300 ms; from ${TOKEN_RESTART_MS} ms on the lease outlives it`,
    );
  }
  if (tokenMs <= PATIENT_TOKEN_MS) return;
  const seconds = Math.round(tokenMs * 1.3) / 1000;
  findings.warning(
    place,
    `with "token" ${tokenMs} ms the address may be away for ${seconds} s`,
    "write 1000 unless the network needs so much patience",
  );
}

function readInterfaces(root: ConfSection, findings: Findings): Map<number, TypedSection> {
  const interfaces = new Map<number, TypedSection>();
  for (const section of interfaceSections(root)) {
    const typed = new TypedSection("totem.interface", [section], findings, section);
    for (const member of sectionsNamed(section, "member")) {
      const memberTyped = new TypedSection("totem.interface.member", [member], findings, member);
      if (!memberTyped.isWritten("memberaddr")) {
        findings.error(
          member,
          "the member has no memberaddr",
          "add memberaddr: with its address, or delete the section",
        );
      }
    }
    const ring = typed.integerOrDefault("linknumber");
    const earlier = interfaces.get(ring.value);
    if (earlier === undefined) interfaces.set(ring.value, typed);
    else {
      const what = `ring ${ring.value} already has an interface section, in line ${earlier.place.line}`;
      findings.error(
        ring.place ?? section,
        what,
        "give each interface section a ringnumber (or linknumber) of its own",
      );
    }
  }
  return interfaces;
}

/** `transport:` decides; else the presence of `mcastaddr`. */
function readTransport(
  totem: TypedSection,
  interfaces: ReadonlyMap<number, TypedSection>,
  findings: Findings,
): Transport {
  const multicast = [...interfaces.values()].filter((section) => section.isWritten("mcastaddr"));
  const given = totem.string("transport")?.value;
  if (given !== "udp" && given !== "udpu" && given !== "knet") return multicast.length > 0 ? "udp" : "udpu";
  if (given === "udp") return given;
  for (const section of multicast) {
    findings.note(
      section.placeOf("mcastaddr"),
      `"mcastaddr" has no effect with transport: ${given}`,
      "heartbeats go to each node by unicast",
    );
  }
  return given;
}

/** One ring for each address the nodes have, with what its interface section says. Ring 0 is always there. */
export function readRings(totem: Totem, nodes: readonly PlacedNode[], findings: Findings): Ring[] {
  const addressed = Math.max(1, ...nodes.map(({ config }) => config.addresses.length));
  for (const [ring, section] of totem.interfaces) {
    if (ring < addressed) continue;
    findings.warning(
      section.place,
      `no node has a ring${ring}_addr, so ring ${ring} has no effect`,
      `add ring${ring}_addr to the nodes, or delete this section`,
    );
  }
  const rings: Ring[] = [];
  for (let ring = 0; ring < addressed; ring += 1) {
    const family = nodes.some(({ config }) => config.addresses[ring]?.includes(":")) ? 6 : 4;
    rings.push(readRing(totem, ring, family, findings));
  }
  return rings;
}

function readRing(totem: Totem, ring: number, family: 4 | 6, findings: Findings): Ring {
  const place = { line: 1, column: 1 };
  const section = totem.interfaces.get(ring) ?? new TypedSection("totem.interface", [], findings, place);
  for (const key of ["bindnetaddr", "mcastaddr"]) {
    const given = section.string(key);
    if (given === undefined || parseAddress(given.value)?.family === family) continue;
    const what = `"${key}" is no IPv${family} address, but ring${ring}_addr of the nodes is`;
    findings.error(section.placeOf(key), what, `write an IPv${family} address`);
  }
  const bindnetaddr = section.string("bindnetaddr")?.value;
  const mcastaddr = section.string("mcastaddr")?.value ?? derivedMulticast(totem.clusterName, ring, family);
  return {
    ring,
    ...(bindnetaddr === undefined ? {} : { bindnetaddr }),
    ...(totem.transport === "udp" ? { mcastaddr } : {}),
    mcastport: section.integerOrDefault("mcastport").value,
    ttl: section.integerOrDefault("ttl").value,
  };
}

/** corosync's rule for a cluster name without a multicast address: a 16-bit sum of the name, plus the ring. */
export function derivedMulticast(clusterName: string, ring: number, family: 4 | 6): string {
  let sum = 0;
  for (const byte of new TextEncoder().encode(clusterName)) sum = (sum * 2 + byte) & 0xffff;
  const id = (sum + ring) & 0xffff;
  return family === 4 ? `239.192.${id >> 8}.${id % 0xff}` : `ff15::${id.toString(16)}`;
}
