/**
 * The switch: a network namespace with one bridge per ring, and the client host's namespace beside it. Both are
 * held by a process and have no name, so they end with it: a lab can leave no namespace behind.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { QuorateError } from "@quorate/contracts";
import { z } from "zod";
import { command, inNamespaces, tryCommand } from "./command.ts";
import { nameProcess, type ProcessName, readNamespace, waitUntil } from "./processes.ts";
import type { HostRecord, LabRecord, PortRecord, Rule } from "./record.ts";

/** In the environment of every process of a lab: how `down` finds those that the record lost. */
export const LAB_MARK = "QUORATE_LAB_RUN";

export const CLIENT_PORT = "client";
export const CLIENT_DEVICE = "vip0";
/** The switch's end of the storage host's cable. */
export const STORAGE_PORT = "storage";

export function bridgeOf(ring: number): string {
  return `br${ring}`;
}

/** Starts a process that does nothing but hold a new network namespace. */
export async function holdNetwork(runDir: string): Promise<ProcessName> {
  const child = spawn("unshare", ["--net", "--", "sleep", "infinity"], {
    detached: true,
    stdio: "ignore",
    env: { PATH: process.env["PATH"], [LAB_MARK]: runDir },
  });
  child.unref();
  const pid = child.pid;
  const own = readNamespace(process.pid, "net");
  const apart = () => {
    const namespace = pid === undefined ? null : readNamespace(pid, "net");
    return namespace !== null && namespace !== own;
  };
  const holder = (await waitUntil(apart, 5000, 2)) && pid !== undefined ? nameProcess(pid) : null;
  if (holder === null) {
    throw new QuorateError(
      "TOOL_FAILED",
      "no network namespace could be made",
      "Run as root, not in a sandbox.",
    );
  }
  return holder;
}

/** Runs `ip` commands, one per line, in the network namespace of `pid`. */
export async function ipBatch(pid: number, lines: readonly string[]): Promise<void> {
  await command(inNamespaces(pid, "network", ["ip", "-batch", "-"]), { input: `${lines.join("\n")}\n` });
}

export async function buildSwitch(record: LabRecord, switchPid: number, clientPid: number): Promise<void> {
  // The ports themselves say nothing: no router solicitations, no neighbour discovery of their own.
  await command(
    inNamespaces(switchPid, "network", [
      "sh",
      "-c",
      "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
    ]),
  );
  const lines = ["link set lo up"];
  for (let ring = 0; ring < record.rings; ring += 1) {
    lines.push(...bridgeLines(bridgeOf(ring)));
  }
  lines.push(
    `address add ${record.observerAddress}/24 dev ${bridgeOf(0)}`,
    `link add ${CLIENT_PORT} type veth peer name ${CLIENT_DEVICE} netns ${clientPid}`,
    `link set ${CLIENT_PORT} master ${bridgeOf(0)} up`,
  );
  await ipBatch(switchPid, lines);
  // A client that had nobody to talk to asks again after 100 ms, not 1 s: its patience is not our gap.
  await command(
    inNamespaces(clientPid, "network", [
      "sh",
      "-c",
      `echo 100 > /proc/sys/net/ipv4/neigh/${CLIENT_DEVICE}/retrans_time_ms`,
    ]),
  );
  await ipBatch(clientPid, [
    "link set lo up",
    `link set ${CLIENT_DEVICE} up`,
    ...record.clientAddresses.map((address) => addressLine(address, CLIENT_DEVICE)),
    // Its ticks are the capture's clock: they go out also while the switch carries nothing.
    `neighbour replace ${record.observerAddress} lladdr ${bridgeMac(bridgeOf(0))} dev ${CLIENT_DEVICE} nud permanent`,
  ]);
}

/** IPv6 addresses are usable at once: duplicate detection would make them wait for over a second. */
export function addressLine(address: string, device: string): string {
  return `address add ${address} dev ${device}${address.includes(":") ? " nodad" : ""}`;
}

function bridgeLines(name: string, mac = bridgeMac(name)): string[] {
  // A plain switch: no spanning tree's delays, no multicast filtering that a querier would have to feed. Its
  // address is fixed, or it would change with the lowest of the ports'.
  return [
    `link add ${name} address ${mac} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `link set ${name} up`,
  ];
}

function bridgeMac(name: string): string {
  const digest = createHash("sha256").update(name).digest("hex");
  return ["06", ...(digest.slice(0, 10).match(/../g) ?? [])].join(":");
}

/** Lays the cables between a booting host and the switch; a cut or partitioned port stays as it was. */
export async function plugHost(switchPid: number, host: HostRecord, hostPid: number): Promise<void> {
  const lines: string[] = [];
  const inside = ["link set lo up"];
  for (const port of host.ports) {
    const end = port.uplink ?? port.device;
    lines.push(
      `link add ${port.name} type veth peer name ${end} address ${port.mac} netns ${hostPid}`,
      `link set ${port.name} master ${port.bridge}`,
      `link set ${port.name} ${port.link === "cut" ? "down" : "up"}`,
    );
    if (port.uplink !== null) {
      // As a host of virtual machines has it: the guests' taps join the cable in a bridge that has the host's address.
      inside.push(
        ...bridgeLines(port.device, port.mac),
        `link set ${port.uplink} master ${port.device}`,
        `link set ${port.uplink} up`,
      );
    }
    inside.push(
      `link set ${port.device} up`,
      addressLine(`${port.address}/${port.prefixLength}`, port.device),
    );
  }
  await ipBatch(switchPid, lines);
  await ipBatch(hostPid, inside);
}

export async function setCarrier(switchPid: number, port: PortRecord, up: boolean): Promise<void> {
  await ipBatch(switchPid, [`link set ${port.name} ${up ? "up" : "down"}`]);
}

export async function setStorageLink(switchPid: number, up: boolean): Promise<void> {
  await ipBatch(switchPid, [`link set ${STORAGE_PORT} ${up ? "up" : "down"}`]);
}

export async function setBridge(switchPid: number, bridge: string, up: boolean): Promise<void> {
  await ipBatch(switchPid, [`link set ${bridge} ${up ? "up" : "down"}`]);
}

/** Moves ports to a bridge, made if it is new. Their carrier stays as it is. */
export async function moveToBridge(
  switchPid: number,
  ports: readonly PortRecord[],
  bridge: string,
): Promise<void> {
  const links = await readLinks(switchPid);
  const lines = links.some((link) => link.ifname === bridge) ? [] : bridgeLines(bridge);
  lines.push(...ports.map((port) => `link set ${port.name} master ${bridge}`));
  await ipBatch(switchPid, lines);
}

/** Removes the links that are there. A dying host's namespace may take them away at the same time. */
export async function removeLinks(switchPid: number, names: readonly string[]): Promise<void> {
  const gone = await waitUntil(async () => {
    const present = new Set((await readLinks(switchPid)).map((link) => link.ifname));
    const left = names.filter((name) => present.has(name));
    for (const name of left) {
      await tryCommand(inNamespaces(switchPid, "network", ["ip", "link", "delete", name]));
    }
    return left.length === 0;
  }, 10_000);
  if (!gone) {
    throw new QuorateError("TOOL_FAILED", `${names.join(", ")} cannot be removed`, "Take the lab down.");
  }
}

const LinkSchema = z.object({ ifindex: z.int(), ifname: z.string(), address: z.string().optional() });
export type SwitchLink = z.infer<typeof LinkSchema>;

export async function readLinks(pid: number): Promise<SwitchLink[]> {
  const text = await command(inNamespaces(pid, "network", ["ip", "-json", "link", "show"]));
  return z.array(LinkSchema).parse(JSON.parse(text));
}

/**
 * Puts exactly these rules into force. They act on the way out of the switch to the receiver, where every
 * datagram passes once: a loss of 30 is 30 of 100, not 51.
 */
export async function applyRules(
  record: LabRecord,
  switchPid: number,
  rules: readonly Rule[],
): Promise<void> {
  const statements = rules.flatMap((rule) => ruleStatements(record, rule));
  const text = `table bridge quorate_lab
delete table bridge quorate_lab
table bridge quorate_lab {
  chain forward {
    type filter hook forward priority 0; policy accept;
${statements.map((statement) => `    ${statement}`).join("\n")}
  }
}
`;
  await command(inNamespaces(switchPid, "network", ["nft", "-f", "-"]), { input: text });
}

function ruleStatements(record: LabRecord, rule: Rule): string[] {
  const portsOf = (id: number) => record.hosts.find((host) => host.id === id)?.ports ?? [];
  switch (rule.kind) {
    case "oneway":
      return portsOf(rule.from).flatMap((from) =>
        portsOf(rule.to)
          .filter((to) => to.ring === from.ring)
          .map((to) => `iifname "${from.name}" oifname "${to.name}" drop`),
      );
    case "storage-cut":
      return portsOf(rule.host)
        .filter(({ ring }) => ring === 0)
        .flatMap(({ name }) => [
          `iifname "${name}" oifname "${STORAGE_PORT}" drop`,
          `iifname "${STORAGE_PORT}" oifname "${name}" drop`,
        ]);
    case "loss":
      return portsOf(rule.host).map(
        (port) =>
          `oifname "${port.name}" ether type { ip, ip6 } numgen random mod 100 < ${rule.percent} drop`,
      );
    default:
      return rule satisfies never;
  }
}
