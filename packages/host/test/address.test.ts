import { spawnSync } from "node:child_process";
import type { ClusterIp } from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Address } from "../src/address/address.ts";
import { createFakeAddress } from "../src/address/fake-address.ts";
import { createRealAddress } from "../src/address/real-address.ts";
import type { Carrier } from "../src/carrier/carrier.ts";
import { createFakeCarrier } from "../src/carrier/fake-carrier.ts";
import { createRealCarrier } from "../src/carrier/real-carrier.ts";
import { FakeKernel } from "../src/fake/fake-kernel.ts";
import { createFakeLinkMonitor } from "../src/link-monitor/fake-link-monitor.ts";
import type { LinkEvent, LinkMonitor } from "../src/link-monitor/link-monitor.ts";
import { createRealLinkMonitor } from "../src/link-monitor/real-link-monitor.ts";
import { createIpTool } from "../src/tools/ip-tool.ts";
import { Cable, pauseMs, run } from "./namespaces.ts";

const MONITOR_MODULE = new URL("../src/link-monitor/real-link-monitor.ts", import.meta.url).href;
const V4: ClusterIp = { address: "10.9.0.100", family: 4, device: "net0", prefixLength: 24 };
const V6: ClusterIp = { address: "fd00:9::100", family: 6, device: "net0", prefixLength: 64 };

interface World {
  readonly address: Address;
  readonly carrier: Carrier;
  readonly monitor: LinkMonitor;
  pass(us: number): Promise<void>;
  /** What somebody else may do. */
  takeAway(ip: ClusterIp): void;
  setCarrier(up: boolean): void;
  remakeDevice(): void;
  end(): Promise<void>;
}

function fakeWorld(): World {
  let nowUs = 1_000_000;
  const kernel = new FakeKernel(() => nowUs);
  kernel.setDevice("net0", true);
  return {
    address: createFakeAddress(kernel),
    carrier: createFakeCarrier(kernel),
    monitor: createFakeLinkMonitor(kernel),
    pass: async (us) => {
      nowUs += us;
    },
    takeAway: (ip) => kernel.deleteAddress(ip.address),
    setCarrier: (up) => kernel.setDevice("net0", up),
    remakeDevice: () => {
      kernel.removeDevice("net0");
      kernel.setDevice("net0", true);
    },
    end: async () => {},
  };
}

function realWorld(): World & { readonly cable: Cable } {
  const cable = new Cable();
  const tool = createIpTool(cable.context);
  const monitor = createRealLinkMonitor(cable.context);
  return {
    cable,
    address: createRealAddress(tool),
    carrier: createRealCarrier(tool),
    monitor,
    pass: (us) => pauseMs(us / 1_000),
    takeAway: (ip) => cable.inHost("ip", "addr", "del", `${ip.address}/${ip.prefixLength}`, "dev", ip.device),
    setCarrier: (up) => cable.inPeer("ip", "link", "set", "net0", up ? "up" : "down"),
    remakeDevice: () => {
      cable.inHost("ip", "link", "del", "net0");
      cable.inHost("ip", "link", "add", "net0", "type", "bridge");
      cable.inHost("ip", "link", "set", "net0", "up");
    },
    end: async () => {
      await monitor.close();
      await tool.close();
      cable.remove();
    },
  };
}

describe.each([
  ["fake", fakeWorld],
  ["real", realWorld],
] as const)("the %s address", (_name, makeWorld) => {
  let world: World;
  beforeEach(() => {
    world = makeWorld();
  });
  afterEach(() => world.end());

  test.each([V4, V6])("$address is added, refreshed and removed, each as often as one likes", async (ip) => {
    const { address } = world;
    expect(await address.inspect(ip)).toEqual({ present: false, devices: [], validSeconds: null });
    await address.add(ip, 30);
    await address.add(ip, 30);
    expect(await address.inspect(ip)).toEqual({ present: true, devices: ["net0"], validSeconds: 30 });
    await address.refresh(ip, 60);
    expect(await address.inspect(ip)).toEqual({ present: true, devices: ["net0"], validSeconds: 60 });
    await address.remove(ip);
    await address.remove(ip);
    expect(await address.inspect(ip)).toEqual({ present: false, devices: [], validSeconds: null });
  });

  test("runs out when nobody refreshes it", async () => {
    await world.address.add(V4, 1);
    await world.pass(3_000_000);
    expect((await world.address.inspect(V4)).present).toBe(false);
  });

  test("refreshing what somebody took away adds it again", async () => {
    await world.address.add(V6, 30);
    world.takeAway(V6);
    expect((await world.address.inspect(V6)).present).toBe(false);
    await world.address.refresh(V6, 30);
    expect((await world.address.inspect(V6)).present).toBe(true);
  });

  test("a wrong prefix length is not the address, and adding corrects it", async () => {
    await world.address.add({ ...V4, prefixLength: 32 }, 30);
    expect(await world.address.inspect(V4)).toEqual({
      present: false,
      devices: ["net0"],
      validSeconds: null,
    });
    await world.address.add(V4, 30);
    expect((await world.address.inspect(V4)).present).toBe(true);
    expect((await world.address.inspect({ ...V4, prefixLength: 32 })).present).toBe(false);
  });

  test("a missing interface is named, with a remedy", async () => {
    const ip = { ...V4, device: "vmbr7" };
    await expect(world.address.add(ip, 30)).rejects.toMatchObject({ code: "INTERFACE_MISSING" });
    await expect(world.address.add({ ...V6, device: "vmbr7" }, 30)).rejects.toThrow(/"vmbr7" does not exist/);
    expect((await world.address.inspect(ip)).present).toBe(false);
    await world.address.remove(ip);
    expect(await world.carrier.inspect("vmbr7")).toBe("missing");
  });

  test("works on a device that was made anew under its name", async () => {
    await world.address.add(V4, 30);
    world.remakeDevice();
    expect((await world.address.inspect(V4)).present).toBe(false);
    await world.address.add(V4, 30);
    expect((await world.address.inspect(V4)).present).toBe(true);
    expect(await world.carrier.inspect("net0")).not.toBe("missing");
  });

  test("tells the carrier, and changes of addresses and links at once", async () => {
    const events: LinkEvent[] = [];
    const stop = world.monitor.listen((event) => events.push(event));
    await world.monitor.start();
    expect(await world.carrier.inspect("net0")).toBe("up");
    world.setCarrier(false);
    expect(await world.carrier.inspect("net0")).toBe("down");
    await world.address.add(V4, 30);
    world.takeAway(V4);
    await expect
      .poll(() => events, { timeout: 5_000 })
      .toEqual(
        expect.arrayContaining([
          { kind: "link", change: "changed", device: "net0", carrier: false },
          { kind: "address", change: "added", device: "net0", address: "10.9.0.100" },
          { kind: "address", change: "removed", device: "net0", address: "10.9.0.100" },
        ]),
      );
    stop();
    world.setCarrier(true);
    expect(await world.carrier.inspect("net0")).toBe("up");
    world.remakeDevice();
  });
});

describe("the real address", () => {
  test("taking the cluster address away leaves the host's own, even where it came later", async () => {
    const world = realWorld();
    try {
      await world.address.add(V4, 30);
      world.cable.inHost("ip", "addr", "add", "10.9.0.1/24", "dev", "net0");
      await world.address.remove(V4);
      expect(world.cable.inHost("ip", "-o", "addr", "show", "dev", "net0")).toContain("10.9.0.1/24");
    } finally {
      await world.end();
    }
  });

  test("the same on a device that was made anew, and prepared beforehand", async () => {
    const world = realWorld();
    try {
      await world.address.prepare(V4);
      world.remakeDevice();
      await world.address.add(V4, 30);
      world.cable.inHost("ip", "addr", "add", "10.9.0.1/24", "dev", "net0");
      await world.address.remove(V4);
      expect(world.cable.inHost("ip", "-o", "addr", "show", "dev", "net0")).toContain("10.9.0.1/24");
    } finally {
      await world.end();
    }
  });

  test("once prepared, adding starts no process", async () => {
    const world = realWorld();
    const asks: string[] = [];
    const tool = createIpTool(world.cable.context);
    const context = {
      nowUs: () => world.cable.context.nowUs(),
      get commandPrefix(): readonly string[] {
        asks.push("a process");
        return world.cable.context.commandPrefix ?? [];
      },
    };
    const address = createRealAddress({ ...tool, context });
    try {
      await address.prepare(V4);
      expect(asks).not.toEqual([]);
      asks.length = 0;
      await address.add(V4, 30);
      expect(asks).toEqual([]);
    } finally {
      await tool.close();
      await world.end();
    }
  });

  test("a monitor that was killed comes back and says so", async () => {
    const world = realWorld();
    try {
      const events: LinkEvent[] = [];
      world.monitor.listen((event) => events.push(event));
      await world.monitor.start();
      const line = world.cable
        .inHost("cat", "/proc/net/netlink")
        .split("\n")
        .map((row) => row.trim().split(/\s+/))
        .find((row) => row[1] === "0" && row[3] !== "00000000" && row[2] !== "0");
      process.kill(Number(line?.[2]), "SIGKILL");
      await expect.poll(() => events, { timeout: 5_000 }).toContainEqual({ kind: "restarted" });
      world.setCarrier(false);
      const lost = (): boolean => events.some((event) => event.kind === "link" && !event.carrier);
      // The kernel itself holds link events back, to one a second.
      await expect.poll(lost, { timeout: 5_000 }).toBe(true);
    } finally {
      await world.end();
    }
  });

  test("a monitor ends with the process that opened it", async () => {
    const world = realWorld();
    try {
      // No event of duplicate detection may come to its help.
      world.cable.inHost("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/net0/disable_ipv6");
      const program = `
        import { createRealLinkMonitor } from ${JSON.stringify(MONITOR_MODULE)};
        const commandPrefix = ["nsenter", "--net=/run/netns/${world.cable.host}"];
        const monitor = createRealLinkMonitor({ nowUs: () => Number(process.hrtime.bigint() / 1000n), commandPrefix });
        await monitor.start();
        process.kill(process.pid, "SIGKILL");`;
      const result = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
        encoding: "utf8",
      });
      expect(result).toMatchObject({ signal: "SIGKILL", stderr: "" });
      await expect.poll(() => run("ip", "netns", "pids", world.cable.host).trim()).toBe("");
    } finally {
      await world.end();
    }
  });
});
