import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Gate, GateRenewal, GateVip } from "../src/gate/gate.ts";
import { parseDurationUs, parseTableListing } from "../src/gate/nft-listing.ts";
import { createRealGate } from "../src/gate/real-gate.ts";
import { monotonicNowUs } from "../src/tools/host-context.ts";
import { Cable, pauseMs } from "./namespaces.ts";

const VIP: GateVip = { address: "10.9.0.100", family: 4, device: "net0" };
const VIP6: GateVip = { address: "fd00:9::100", family: 6, device: "net0" };

function renewFor(gate: Gate, us: number, addresses = ["10.9.0.100"]): Promise<GateRenewal> {
  return gate.renew({ addresses, leaseEndUs: monotonicNowUs() + us, permitUs: 200_000 });
}

describe("the gate on this kernel", () => {
  let cable: Cable;
  let gate: Gate;
  beforeEach(async () => {
    cable = new Cable();
    cable.inHost("ip", "addr", "add", "10.9.0.1/24", "dev", "net0");
    cable.inHost("ip", "addr", "add", "10.9.0.100/24", "dev", "net0");
    cable.inPeer("ip", "addr", "add", "10.9.0.2/24", "dev", "net0");
    gate = createRealGate(cable.context, { answerTimeoutMs: 1_000 });
    await gate.load([VIP]);
  });
  afterEach(async () => {
    await gate.close();
    cable.remove();
  });

  const answers = (): boolean => {
    cable.inPeer("ip", "neigh", "flush", "dev", "net0");
    return cable.peerGetsAnswer("10.9.0.100");
  };

  /** The process's own child, as the tool that is kept open. */
  const nftPid = (): number => {
    for (const pid of readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ")) {
      if (readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "nft") return Number(pid);
    }
    throw new Error("no nft is open");
  };

  test("a process stopped between calculating and committing opens nothing when it goes on", async () => {
    await gate.close();
    for (const [leaseUs, refusal] of [
      ["5000000", "permit-expired"],
      ["900000", "lease-passed"],
    ] as const) {
      const script = fileURLToPath(new URL("./frozen-renewer.ts", import.meta.url));
      const child = spawn(process.execPath, [script, cable.host, leaseUs, "200000"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      let output = "";
      child.stdout.on("data", (text: Buffer) => {
        output += text.toString();
      });
      const ended = new Promise((resolve) => child.once("close", resolve));
      const state = (): string => readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.[0] ?? "";
      await expect.poll(state, { timeout: 10_000 }).toBe("T");
      await pauseMs(1_000);
      expect(answers()).toBe(false);
      child.kill("SIGCONT");
      await ended;
      // On a starved machine nft's answer may come too late as well: refused all the same.
      const outcome = JSON.parse(output) as { renewal: { outcome: string; refusal: string } };
      expect(outcome.renewal.outcome).toBe("refused");
      expect([refusal, "timed-out"]).toContain(outcome.renewal.refusal);
      expect(answers()).toBe(false);
    }
  });

  test("a stopped nft loses the renewal, not the node: it is replaced, and nothing opens later", async () => {
    expect(await renewFor(gate, 1_000_000)).toMatchObject({ outcome: "open" });
    const stopped = nftPid();
    process.kill(stopped, "SIGSTOP");
    expect(await renewFor(gate, 5_000_000)).toMatchObject({ outcome: "refused", refusal: "timed-out" });
    await pauseMs(1_000);
    expect(answers()).toBe(false);
    expect(await renewFor(gate, 5_000_000)).toMatchObject({ outcome: "open" });
    expect(answers()).toBe(true);
    expect(gate.stats().toolStarts).toBe(2);
  });

  test("a killed nft is started again", async () => {
    process.kill(nftPid(), "SIGKILL");
    await expect.poll(async () => (await renewFor(gate, 5_000_000)).outcome).toBe("open");
    expect(answers()).toBe(true);
  });

  test("the answers stop before the lease ends, with all of ours gone", async () => {
    const leaseEndUs = monotonicNowUs() + 2_000_000;
    await gate.renew({ addresses: [VIP.address], leaseEndUs, permitUs: 200_000 });
    await gate.close();
    expect(answers()).toBe(true);
    const pinger = spawn(
      "nsenter",
      [`--net=/run/netns/${cable.peer}`, "ping", "-n", "-D", "-i", "0.002", "-w", "3", "10.9.0.100"],
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    let lastUs = 0;
    let count = 0;
    pinger.stdout.on("data", (text: Buffer) => {
      if (!text.toString().includes("bytes from")) return;
      lastUs = monotonicNowUs();
      count += 1;
    });
    await new Promise((resolve) => pinger.once("close", resolve));
    expect(count).toBeGreaterThan(5);
    expect(lastUs).toBeLessThan(leaseEndUs);
  });

  test.each([
    ["flush chain ip quorate output"],
    ["delete element ip quorate vip { 10.9.0.100 }"],
    ["add element arp quorate lease { 10.9.0.100 }"],
    ["insert rule ip quorate output accept"],
    ["delete table arp quorate"],
    ["add chain ip quorate other"],
  ])("sees what another did (%s), and load puts it right, shut", async (tampering) => {
    await renewFor(gate, 30_000_000);
    expect((await gate.inspect()).intact).toBe(true);
    await gate.shut();
    cable.inHost("nft", tampering);
    const seen = await gate.inspect();
    expect(seen.intact).toBe(false);
    expect(seen.differences.length).toBeGreaterThan(0);
    expect((await gate.shut()).outcome).toBe(tampering.includes("lease") ? "confirmed" : "unconfirmed");
    await gate.load([VIP]);
    expect(await gate.inspect()).toMatchObject({
      intact: true,
      differences: [],
      open: [],
      holdsRawFrames: true,
    });
    expect(answers()).toBe(false);
  });

  test("others' tables do not matter, nor are they touched", async () => {
    cable.inHost(
      "nft",
      "add table ip quorate_not; add chain ip quorate_not input { type filter hook input priority 0 ; }",
    );
    expect((await gate.inspect()).intact).toBe(true);
    await gate.load([VIP, VIP6]);
    await gate.unload();
    expect(cable.inHost("nft", "list", "tables").trim()).toBe("table ip quorate_not");
  });

  test("raw frames are held back again once a lost device is back", async () => {
    expect((await gate.inspect()).holdsRawFrames).toBe(true);
    cable.inHost("ip", "link", "del", "net0");
    cable.inHost("ip", "link", "add", "net0", "type", "bridge");
    await gate.load([VIP]);
    expect(await gate.inspect()).toMatchObject({ intact: true, holdsRawFrames: true });
  });

  test("a missing device costs the guarantee for raw frames at most, until it is there", async () => {
    await gate.load([VIP, { address: "10.9.1.100", family: 4, device: "vmbr7" }]);
    expect((await gate.inspect()).intact).toBe(true);
    expect(await renewFor(gate, 5_000_000)).toMatchObject({ outcome: "open" });
    cable.inHost("ip", "link", "add", "vmbr7", "type", "bridge");
    await gate.load([VIP, { address: "10.9.1.100", family: 4, device: "vmbr7" }]);
    expect((await gate.inspect()).holdsRawFrames).toBe(true);
    expect(answers()).toBe(true);
  });

  test("a host with a shut gate reaches the address on another", async () => {
    cable.inHost("ip", "addr", "del", "10.9.0.100/24", "dev", "net0");
    cable.inPeer("ip", "addr", "add", "10.9.0.100/24", "dev", "net0");
    expect(cable.inHost("ping", "-n", "-c", "1", "-W", "1", "10.9.0.100")).toContain("1 received");
  });

  test("found tables that are not as they must be are replaced by a restarted process, shut", async () => {
    await renewFor(gate, 30_000_000);
    cable.inHost("nft", "flush chain ip quorate input");
    const successor = createRealGate(cable.context);
    await successor.load([VIP]);
    expect(await successor.inspect()).toMatchObject({ intact: true, open: [] });
    await successor.close();
  });
});

describe("without what it needs, the gate", () => {
  test("names the missing tool and the package", async () => {
    const gate = createRealGate({ nowUs: monotonicNowUs, commandPrefix: ["env", "-i", "PATH=/nonexistent"] });
    await expect(gate.load([VIP])).rejects.toMatchObject({ code: "TOOL_MISSING" });
  });

  test("says that it needs root", async () => {
    const commandPrefix = ["setpriv", "--reuid=65534", "--clear-groups", "--no-new-privs", "--inh-caps=-all"];
    const gate = createRealGate({ nowUs: monotonicNowUs, commandPrefix });
    await expect(gate.load([VIP])).rejects.toMatchObject({ code: "NOT_ROOT" });
    await gate.close();
  });
});

describe("nft's listing", () => {
  test("is read however nft wraps it", () => {
    const listing = [
      "table ip quorate {",
      "\tset vip {",
      "\t\ttype ipv4_addr",
      "\t\telements = { 10.9.0.2, 10.9.0.1,",
      "\t\t\t     10.9.0.10 }",
      "\t}",
      "",
      "\tset lease {",
      "\t\ttype ipv4_addr",
      "\t\tflags timeout",
      "\t\telements = { 10.9.0.1 timeout 1s500ms expires 1s20ms, 10.9.0.2 }",
      "\t}",
      "}",
    ].join("\n");
    expect(parseTableListing(listing)).toEqual({
      skeleton:
        "table ip quorate {\nset vip {\ntype ipv4_addr\n}\nset lease {\ntype ipv4_addr\nflags timeout\n}\n}",
      egressChains: new Map(),
      held: ["10.9.0.1", "10.9.0.10", "10.9.0.2"],
      open: [
        { address: "10.9.0.1", remainingUs: 1_020_000 },
        { address: "10.9.0.2", remainingUs: Number.POSITIVE_INFINITY },
      ],
    });
  });

  test("durations are read in all their units", () => {
    const units = [
      ["d", 86_400_000],
      ["h", 3_600_000],
      ["m", 60_000],
      ["s", 1_000],
      ["ms", 1],
    ] as const;
    fc.assert(
      fc.property(fc.array(fc.nat(999), { minLength: 5, maxLength: 5 }), (amounts) => {
        const text = units.map(([unit], index) => `${amounts[index]}${unit}`).join("");
        const expectedMs = units.reduce((sum, [, ms], index) => sum + ms * (amounts[index] ?? 0), 0);
        expect(parseDurationUs(text)).toBe(expectedMs * 1_000);
      }),
    );
  });
});
