/** What a lab shall be: its hosts, their programs, its addresses. The record (record.ts) is what it is. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import {
  clusterConf,
  LAB_NODES,
  type LabTopology,
  ring1Address,
  SERVICE_PORT,
  serviceCommand,
  VIP,
  VIP_V6,
} from "./configuration.ts";
import type { LabRecord } from "./record.ts";
import { bridgeOf } from "./switch.ts";

/** What a host runs. Paths are as seen in the host: /etc/quorate, /var/lib/quorate and /run/quorate are its own. */
export type HostProgram = {
  /** Written to /etc/quorate/cluster.conf before the first boot. */
  configuration: string;
  /** Command lines, run once in the host before its first start. */
  prepare: string[][];
  /** What PID 1 runs and, 100 ms after it ended, runs again. */
  run: string[];
};

export type HostPlan = {
  id: number;
  /** First network's address; a second one gets a second device, ring1. */
  addresses: string[];
  program: HostProgram;
};

export type LabPlan = {
  root: string;
  /** Where the hosts' disks are. Removed by `down`. */
  dataDir: string;
  tokenMs: number;
  /** Virtual machines; 0: none. */
  guests: number;
  vips: string[];
  servicePort: number;
  hosts: HostPlan[];
  /** A folder that the first host's `prepare` fills in its /etc/quorate, and all others get a copy of. */
  keysDir: string;
  /** The product's command line (`status --json` and the like are added), as run in a host. */
  quorate: string[];
};

/** Three hosts that run `quorate node run` on the original's file. `root` is the checkout. */
export function quoratePlan(
  root: string,
  name: string,
  topology: LabTopology,
  configuration?: string,
): LabPlan {
  const quorate = join(root, "node_modules/.bin/quorate");
  if (!existsSync(quorate)) {
    throw new QuorateError("TOOL_MISSING", `${quorate} is not there`, "Run: npm run setup");
  }
  // Not the toolchain's by its place: a machine that brings a good Node of its own has none there.
  const text = configuration ?? clusterConf(topology, serviceCommand(process.execPath));
  return {
    root,
    dataDir: join(root, ".lab", name),
    tokenMs: topology.tokenMs,
    guests: topology.guests,
    vips: topology.ipv6 ? [VIP, VIP_V6] : [VIP],
    servicePort: SERVICE_PORT,
    keysDir: "keys",
    quorate: [quorate],
    hosts: LAB_NODES.map(({ id, address }) => {
      const common = ["--config", "/etc/quorate/cluster.conf", "--node-id", String(id)];
      common.push("--state-dir", "/var/lib/quorate", "--keys-dir", "/etc/quorate/keys");
      return {
        id,
        addresses: topology.rings === 2 ? [address, ring1Address(address)] : [address],
        program: {
          configuration: text,
          prepare: [[quorate, "init", ...common]],
          run: [quorate, "node", "run", ...common, "--run-dir", "/run/quorate"],
        },
      };
    }),
  };
}

export function firstRecord(name: string, plan: LabPlan): LabRecord {
  return {
    format: 1,
    name,
    root: plan.root,
    dataDir: plan.dataDir,
    tokenMs: plan.tokenMs,
    guests: plan.guests,
    storage: null,
    vips: plan.vips,
    servicePort: plan.servicePort,
    clientAddresses: [
      "172.31.223.254/24",
      ...(plan.vips.some((vip) => vip.includes(":")) ? ["fd51:223::fe/64"] : []),
    ],
    observerAddress: "172.31.223.253",
    rings: Math.max(...plan.hosts.map((host) => host.addresses.length)),
    keysDir: plan.keysDir,
    owner: null,
    quorate: plan.quorate,
    switch: null,
    client: null,
    rules: [],
    hosts: plan.hosts.map((host) => ({
      id: host.id,
      name: `node-${host.id}`,
      boots: 0,
      clockOffsetS: 0,
      holder: null,
      init: null,
      frozen: false,
      prepare: host.program.prepare,
      prepared: false,
      run: host.program.run,
      ports: host.addresses.map((address, ring) => ({
        name: ring === 0 ? `h${host.id}` : `h${host.id}r${ring}`,
        device: ring === 0 ? "vmbr0" : `ring${ring}`,
        uplink: ring === 0 && plan.guests > 0 ? "eth0" : null,
        ring,
        mac: macOf(host.id, ring),
        address,
        prefixLength: 24,
        link: "up" as const,
        bridge: bridgeOf(ring),
      })),
    })),
  };
}

/** A locally administered address that says whose it is; it stays over a reboot, as real hardware's does. */
function macOf(id: number, ring: number): string {
  const digits = id.toString(16).padStart(8, "0");
  return ["02", ring.toString(16).padStart(2, "0"), ...(digits.match(/../g) ?? [])].join(":");
}
