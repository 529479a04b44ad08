import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Lab } from "../src/index.ts";
import { isStopped, nameProcess, processesOfHost, waitUntil } from "../src/processes.ts";
import { readLinks } from "../src/switch.ts";
import { idlePlan, sweepAbandonedTestLabs, testLabName } from "./stand-in-plan.ts";

const NAME = testLabName("faults");
const ADDRESS = { 2: "172.31.223.46", 4: "172.31.223.47", 8: "172.31.223.48" } as const;

let lab: Lab;

beforeAll(sweepAbandonedTestLabs);

beforeEach(async () => {
  // A named process under PID 1, as the supervisor of a node is.
  const run = "mkdir -p /run/quorate/pids; sleep 1000 & echo $! $(cut -d' ' -f22 /proc/$!/stat)";
  lab = await Lab.up(NAME, idlePlan(NAME, ["sh", "-c", `${run} > /run/quorate/pids/supervisor.pid; wait`]));
});

afterEach(() => Lab.down(NAME));

async function out(id: number, script: string): Promise<string> {
  return (await lab.exec(id, ["sh", "-c", script])).stdout.trim();
}

/** One ping with little patience: 0 when `to` answered. */
async function reaches(from: number, to: keyof typeof ADDRESS): Promise<boolean> {
  return (await lab.exec(from, ["ping", "-q", "-c", "1", "-W", "0.3", ADDRESS[to]])).code === 0;
}

async function carrier(id: number): Promise<string> {
  return out(id, "cat /sys/class/net/vmbr0/carrier");
}

describe("a host", () => {
  it("has its own name, boot id, clock, /run, /tmp, state and network; the machine keeps its own", async () => {
    const machineBoot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const seen = { boots: new Set([machineBoot]), uptimes: new Set<number>() };
    for (const id of [2, 4, 8]) {
      expect(await out(id, "hostname")).toBe(`node-${id}`);
      seen.boots.add(await out(id, "cat /proc/sys/kernel/random/boot_id"));
      seen.uptimes.add(Math.round(Number((await out(id, "cut -d' ' -f1 /proc/uptime")).split(" ")[0]) / 100));
      await out(
        id,
        `echo ${id} > /run/quorate/mine; echo ${id} > /tmp/lab-test-mine; echo ${id} > /var/lib/quorate/mine`,
      );
    }
    expect(seen.boots.size).toBe(4);
    expect(seen.uptimes.size).toBe(3);
    for (const id of [2, 4, 8]) {
      expect(await out(id, "cat /run/quorate/mine /tmp/lab-test-mine /var/lib/quorate/mine")).toBe(
        `${id}\n${id}\n${id}`,
      );
      expect(await out(id, "ls /sys/class/net")).toBe("lo\nvmbr0");
      expect(await out(id, "cat /etc/quorate/cluster.conf")).toBe("stand-in");
    }
    expect(existsSync("/tmp/lab-test-mine")).toBe(false);
    expect((await readLinks(process.pid)).some((link) => /^(h\d+|br0|vmbr0)$/.test(link.ifname))).toBe(false);
  });

  it("whose power is cut is silent at once and comes back with another boot id, another clock and its disk", async () => {
    const before = await out(
      4,
      "cat /proc/sys/kernel/random/boot_id; echo kept > /var/lib/quorate/disk; echo x > /run/lost",
    );
    const processes = processesOfHost(lab.host(4).init?.pid ?? 0).map((process) => process.pid);
    expect(processes.length).toBeGreaterThan(2);
    expect(await reaches(2, 4)).toBe(true);
    await lab.kill(4);
    expect(processes.filter((pid) => nameProcess(pid) !== null)).toEqual([]);
    expect(await reaches(2, 4)).toBe(false);
    expect(lab.status().hosts.find((host) => host.id === 4)).toMatchObject({ power: "off", pid: null });
    await lab.start(4);
    expect(await reaches(2, 4)).toBe(true);
    expect(await out(4, "cat /proc/sys/kernel/random/boot_id")).not.toBe(before);
    expect(await out(4, "cat /var/lib/quorate/disk; ls /run")).toBe("kept\nquorate");
  });

  it("has its command again soon after it ended, and what the dead one left behind is reaped", async () => {
    const service = () => lab.status().hosts[0]?.services["supervisor"];
    expect(await waitUntil(() => service() !== undefined, 5000)).toBe(true);
    const first = await lab.signalNamed(2, "supervisor", "SIGKILL");
    expect(await waitUntil(() => service() !== undefined && service() !== first, 5000)).toBe(true);
    await out(2, "(sleep 0.01 &) ; true");
    const zombies = () => out(2, "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null");
    expect(await waitUntil(async () => (await zombies()) === "", 5000)).toBe(true);
  });

  it("that is frozen runs nothing, while its kernel answers on; thawed it goes on", async () => {
    const initPid = lab.host(2).init?.pid ?? 0;
    const others = () => processesOfHost(initPid).filter((process) => process.pid !== initPid);
    await lab.freeze(2);
    expect(others().length).toBeGreaterThan(0);
    expect(others().every((process) => isStopped(process.pid))).toBe(true);
    expect(await reaches(4, 2)).toBe(true);
    await lab.thaw(2);
    expect(others().some((process) => isStopped(process.pid))).toBe(false);
  });
});

describe("the network", () => {
  it("cut: no carrier at the host, nobody reaches it; healed: both again", async () => {
    await lab.cut(8);
    expect(await carrier(8)).toBe("0");
    expect(await reaches(2, 8)).toBe(false);
    await lab.heal();
    expect(await carrier(8)).toBe("1");
    expect(await waitUntil(() => reaches(2, 8), 5000)).toBe(true);
  });

  it("partition: carriers stay, sides are apart, each side talks within itself; healed: all", async () => {
    await lab.partition([2, 8]);
    expect(await carrier(2)).toBe("1");
    expect(await reaches(2, 4)).toBe(false);
    expect(await reaches(4, 8)).toBe(false);
    expect(await waitUntil(() => reaches(2, 8), 5000)).toBe(true);
    await lab.heal();
    expect(await waitUntil(() => reaches(2, 4), 5000)).toBe(true);
    expect((await readLinks(lab.switchPid())).some((link) => link.ifname.startsWith("side"))).toBe(false);
  });

  it("a partition outlasts a reboot of the host", async () => {
    await lab.partition([4]);
    await lab.kill(4);
    await lab.start(4);
    expect(await carrier(4)).toBe("1");
    expect(await reaches(2, 4)).toBe(false);
  });

  it("oneway: datagrams of one reach the other and not back", async () => {
    expect(await reaches(2, 4)).toBe(true);
    const heard = (id: number) => out(id, "awk '/^Icmp: [0-9]/ { print $2 }' /proc/net/snmp").then(Number);
    await lab.oneway(2, 4);
    const before = { of2: await heard(2), of4: await heard(4) };
    expect(await reaches(2, 4)).toBe(false);
    expect(await heard(4)).toBe(before.of4);
    // The other way the request arrives; its answer does not come back.
    expect(await reaches(4, 2)).toBe(false);
    expect(await heard(2)).toBeGreaterThan(before.of2);
    expect(await reaches(8, 4)).toBe(true);
  });

  it("loss: the stated share of the datagrams to a host, judged once each; others lose none", async () => {
    await lab.loss(4, 30);
    const lost = async (from: number, to: keyof typeof ADDRESS) => {
      const result = await lab.exec(from, [
        "ping",
        "-q",
        "-i",
        "0.002",
        "-c",
        "1000",
        "-W",
        "0.2",
        ADDRESS[to],
      ]);
      return Number(/([\d.]+)% packet loss/.exec(result.stdout)?.[1]);
    };
    // 1000 draws at 30 %: ten standard deviations are 14.5 %. Twice judged would be 51 %.
    const share = await lost(2, 4);
    expect(share).toBeGreaterThan(15);
    expect(share).toBeLessThan(45);
    expect(await lost(2, 8)).toBe(0);
    await lab.heal();
    expect(await lost(2, 4)).toBe(0);
  });
});

describe("two labs", () => {
  const OTHER = testLabName("other");
  afterEach(() => Lab.down(OTHER));

  it("stand side by side on the same addresses and do not hear each other", async () => {
    const other = await Lab.up(OTHER, idlePlan(OTHER));
    await lab.kill(4);
    expect(await reaches(2, 4)).toBe(false);
    expect((await other.exec(2, ["ping", "-q", "-c", "1", "-W", "1", ADDRESS[4]])).code).toBe(0);
    await Lab.down(OTHER);
    expect(await reaches(2, 8)).toBe(true);
    await expect(Lab.up(NAME, idlePlan(NAME))).rejects.toMatchObject({ code: "ALREADY_RUNNING" });
    expect(await reaches(2, 8)).toBe(true);
  });
});
