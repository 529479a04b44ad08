import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { ClusterIp } from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Announcer, ForeignClaim } from "../src/announcer/announcer.ts";
import { createFakeAnnouncer } from "../src/announcer/fake-announcer.ts";
import { createRealAnnouncer } from "../src/announcer/real-announcer.ts";
import { FakeKernel } from "../src/fake/fake-kernel.ts";
import { createFakeGate, FakeTables } from "../src/gate/fake-gate.ts";
import type { Gate } from "../src/gate/gate.ts";
import { createRealGate } from "../src/gate/real-gate.ts";
import { Cable } from "./namespaces.ts";

const V4: ClusterIp = { address: "10.9.0.100", family: 4, device: "net0", prefixLength: 24 };
const V6: ClusterIp = { address: "fd00:9::100", family: 6, device: "net0", prefixLength: 64 };

interface World {
  readonly announcer: Announcer;
  readonly gate: Gate;
  nowUs(): number;
  /** What the link was told, "ADDRESS" once per frame, in order. */
  readonly heard: string[];
  foreignMac(): string;
  /** Another machine takes the address, silently. */
  foreignTakes(ip: ClusterIp): void;
  /** It says so. */
  foreignAnnounces(ip: ClusterIp): Promise<void>;
  /** Everything that was sent until now has been heard. */
  settle(): Promise<void>;
  end(): Promise<void>;
}

async function fakeWorld(): Promise<World> {
  const kernel = new FakeKernel(() => 1_000_000);
  kernel.setDevice("net0", true);
  const tables = new FakeTables(kernel.nowUs);
  const heard: string[] = [];
  kernel.listenToAnnouncements((_device, address) => heard.push(address));
  const mac = "02:00:00:00:00:07";
  return {
    announcer: createFakeAnnouncer(kernel, tables),
    gate: createFakeGate({ nowUs: kernel.nowUs }, { tables }),
    nowUs: kernel.nowUs,
    heard,
    foreignMac: () => mac,
    foreignTakes: (ip) => {
      kernel.foreignHolders.set(ip.address, mac);
    },
    foreignAnnounces: async (ip) => kernel.claim(ip.address, mac),
    settle: async () => {},
    end: async () => {},
  };
}

async function realWorld(): Promise<World> {
  const cable = new Cable();
  cable.inHost("ip", "addr", "add", "10.9.0.1/24", "dev", "net0");
  cable.inHost("ip", "addr", "add", "10.9.0.100/24", "dev", "net0");
  cable.inHost("ip", "addr", "add", "fd00:9::100/64", "dev", "net0", "nodad");
  cable.inPeer("ip", "addr", "add", "10.9.0.2/24", "dev", "net0");
  const announcer = createRealAnnouncer(cable.context);
  const other = createRealAnnouncer({
    ...cable.context,
    commandPrefix: ["nsenter", `--net=/run/netns/${cable.peer}`],
  });
  const gate = createRealGate(cable.context);
  const heard: string[] = [];
  const capture = await captureIn(cable, heard);
  return {
    announcer,
    gate,
    nowUs: cable.context.nowUs,
    heard,
    foreignMac: () => macOf(cable.inPeer("ip", "-o", "link", "show", "net0")),
    foreignTakes: (ip) => {
      cable.inPeer("ip", "addr", "add", `${ip.address}/${ip.prefixLength}`, "dev", "net0", "nodad");
    },
    foreignAnnounces: (ip) => other.announce(ip),
    settle: async () => {
      cable.inHost("ping", "-n", "-c", "1", "-W", "1", "-s", "77", "-I", "10.9.0.1", "10.9.0.2");
      await expect.poll(() => heard.at(-1)).toBe("ping");
      heard.pop();
    },
    end: async () => {
      capture.kill("SIGKILL");
      await Promise.all([announcer.close(), other.close(), gate.close()]);
      cable.remove();
    },
  };
}

function macOf(listing: string): string {
  return /link\/ether ([0-9a-f:]+)/.exec(listing)?.[1] ?? "";
}

/** What arrives at the peer: gratuitous ARP, unsolicited NA, and the ping that ends a round. */
async function captureIn(cable: Cable, heard: string[]): Promise<ChildProcess> {
  // By source address: with the filter's own word "inbound", tcpdump loses the first frame.
  const filter = `ether src ${macOf(cable.inHost("ip", "-o", "link", "show", "net0"))}`;
  const capture = spawn(
    "nsenter",
    [`--net=/run/netns/${cable.peer}`, "tcpdump", "--immediate-mode", "-lnp", "-i", "net0", filter],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  createInterface({ input: capture.stdout }).on("line", (line) => {
    const claim =
      /who-has (\S+) tell \1[, ]/.exec(line) ??
      /Reply (\S+) is-at/.exec(line) ??
      /> ff02::1: ICMP6, neighbor advertisement, tgt is ([^, ]+)/.exec(line);
    if (claim?.[1] !== undefined && !claim[1].startsWith("fe80")) heard.push(claim[1]);
    else if (line.includes("ICMP echo request") && line.includes("length 85")) heard.push("ping");
  });
  await new Promise<void>((resolve) => {
    capture.stderr?.on("data", (text: Buffer) => {
      if (text.toString().includes("listening on")) resolve();
    });
  });
  return capture;
}

describe.each([
  ["fake", fakeWorld],
  ["real", realWorld],
] as const)("the %s announcer", (_name, makeWorld) => {
  let world: World;
  beforeEach(async () => {
    world = await makeWorld();
  });
  afterEach(() => world.end());

  test.each([V4, V6])("tells the link who has $address", async (ip) => {
    await world.announcer.announce(ip);
    await world.settle();
    expect(new Set(world.heard)).toEqual(new Set([ip.address]));
  });

  test.each([V4, V6])("a shut gate keeps announcements of $address back", async (ip) => {
    await world.gate.load([ip]);
    await world.announcer.announce(ip);
    await world.settle();
    expect(world.heard).toEqual([]);
    const leaseEndUs = world.nowUs() + 5_000_000;
    await world.gate.renew({ addresses: [ip.address], leaseEndUs, permitUs: 200_000 });
    await world.announcer.announce(ip);
    await world.settle();
    expect(world.heard).toContain(ip.address);
  });

  test.each([V4, V6])("a probe finds out whether another has $address", async (ip) => {
    expect(await world.announcer.probe(ip, 100_000)).toEqual({ foreign: false });
    world.foreignTakes(ip);
    const expected = { foreign: true, address: ip.address, mac: world.foreignMac() };
    expect(await world.announcer.probe(ip, 2_000_000)).toEqual(expected);
  });

  test.each([V4, V6])("hears another claim $address, while watching it", async (ip) => {
    const claims: ForeignClaim[] = [];
    world.announcer.listen((claim) => claims.push(claim));
    world.foreignTakes(ip);
    await world.announcer.watch([ip, ip === V4 ? V6 : V4]);
    await world.foreignAnnounces(ip);
    await expect.poll(() => claims).toContainEqual({ address: ip.address, mac: world.foreignMac() });
    await world.announcer.watch([]);
    claims.length = 0;
    await world.foreignAnnounces(ip);
    await world.settle();
    expect(claims).toEqual([]);
  });

  test("our own announcements are no foreign claim", async () => {
    const claims: ForeignClaim[] = [];
    world.announcer.listen((claim) => claims.push(claim));
    await world.announcer.watch([V4, V6]);
    await world.announcer.announce(V4);
    await world.announcer.announce(V6);
    await world.settle();
    expect(claims).toEqual([]);
  });

  test("a missing interface is named", async () => {
    const ip = { ...V4, device: "vmbr7" };
    await expect(world.announcer.announce(ip)).rejects.toMatchObject({ code: "INTERFACE_MISSING" });
    await expect(world.announcer.probe(ip, 10_000)).rejects.toMatchObject({ code: "INTERFACE_MISSING" });
    await world.announcer.watch([ip]);
  });
});
