import { spawn } from "node:child_process";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { addressOf, confOf, Lab, NODES } from "./lab-hosts.ts";

let lab: Lab;

function each(run: (node: number) => void): void {
  for (const node of NODES) run(node);
}

describe("three real memberships, unicast over two rings", () => {
  beforeAll(async () => {
    lab = new Lab();
    await lab.up(confOf({}));
  });
  afterAll(() => lab.down());
  beforeEach(async () => {
    each((node) => lab.host(node).order({ kind: "ballots", everyMs: 100, leaving: false }));
    await lab.allJoined();
  });

  it("carry every ballot once, within milliseconds", async () => {
    const host = lab.host(2);
    const from = host.lines.length;
    const heard = () => host.lines.slice(from).filter((line) => line.kind === "heard" && line["from"] === 4);
    await host.until("twenty ballots were heard", () => heard().length >= 20);
    const names = heard().map((line) => line["name"] as number);
    expect(names).toEqual([...new Set(names)].sort((left, right) => left - right));
    const lateUs = heard()
      .map((line) => (line["receivedAtUs"] as number) - (line["name"] as number))
      .sort((left, right) => left - right);
    expect(lateUs[10]).toBeLessThan(20_000);
    expect(host.lastPeers?.peers.find((peer) => peer.node === 4)?.config?.version).toBe(2);
    expect(host.lastPeers?.peers.flatMap((peer) => peer.links.map((link) => link.ring))).toEqual([
      0, 1, 0, 1,
    ]);
  });

  it("stay joined over one ring, fail one token after the loss of both, and come back", async () => {
    lab.plug(4, 0, false);
    const links = () => lab.host(2).lastPeers?.peers.find((peer) => peer.node === 4)?.links;
    await lab.host(2).until("ring 0 is silent", () => links()?.[0]?.hears === false);
    expect(lab.host(2).stateOf(4)).toBe("joined");
    const before = (await lab.host(2).status())["routes_broken"] ?? 0;
    const cutMs = performance.now();
    lab.plug(4, 1, false);
    await lab.host(2).until("node 4 has failed", () => lab.host(2).stateOf(4) === "failed");
    const tookMs = performance.now() - cutMs;
    expect(tookMs).toBeGreaterThan(850);
    expect(tookMs).toBeLessThan(2500);
    await lab.host(4).until("it has lost both", () => lab.host(4).stateOf(2) === "failed");
    // Only an outage of more than a token has the bus's dead routes reset.
    await lab.host(2).until("it is longer than a token", () => {
      const said = lab.host(2).lastPeers;
      const peer = said?.peers.find(({ node }) => node === 4);
      return said !== undefined && peer !== undefined && said.stampUs - peer.sinceUs > 1_000_000;
    });
    lab.plug(4, 0, true);
    await lab.allJoined();
    expect((await lab.host(2).status())["routes_broken"]).toBe(before + 1);
    lab.plug(4, 1, true);
    await lab.host(2).until("ring 1 is back", () => links()?.[1]?.hears === true);
  });

  it("tell a cut in one direction", async () => {
    lab.deafen(8, 2);
    await lab.host(2).until("2 finds 8 one-way", () => lab.host(2).stateOf(8) === "one-way");
    await lab.host(8).until("8 finds 2 failed", () => lab.host(8).stateOf(2) === "failed");
    expect(lab.host(8).lastPeers?.peers.find((peer) => peer.node === 2)?.reason.facts?.["heardBy"]).toBe("4");
    lab.deafen(8, null);
    await lab.allJoined();
  });

  it("blame themselves after a pause, not their peers", async () => {
    const host = lab.host(2);
    const fromMs = performance.now();
    host.membership?.kill("SIGSTOP");
    await lab.host(4).until("2 has failed", () => lab.host(4).stateOf(2) === "failed");
    host.membership?.kill("SIGCONT");
    await lab.host(4).until("2 is back", () => lab.host(4).stateOf(2) === "joined");
    const thawed = () => host.lines.filter((line) => line.kind === "peers" && line.atMs > fromMs).length;
    await host.until("it has spoken again", () => thawed() > 4);
    for (const peer of [4, 8]) expect(host.failuresOf(peer, fromMs)).toEqual([]);
    expect(host.lastPeers?.patience).toBeGreaterThan(1);
  });

  it("count and drop whatever a stranger sends", async () => {
    const { keyFile } = lab.host(4);
    const before = await lab.host(2).status();
    const target = addressOf(2, 0);
    const fromMs = performance.now();
    lab.host(8).order({ kind: "attack", target, port: 5405, as: 4, keyFile });
    await lab
      .host(8)
      .until("the attack is over", () =>
        lab.host(8).lines.some((line) => line.kind === "attacked" && line.atMs > fromMs),
      );
    const names = [
      "refused_truncated",
      "refused_no_heartbeat",
      "refused_oversized",
      "refused_foreign_cluster",
      "refused_stale_incarnation",
      "refused_unauthentic",
    ];
    const missing = async (): Promise<string[]> => {
      const after = await lab.host(2).status();
      return names.filter((name) => (after[name] ?? 0) - (before[name] ?? 0) < 30);
    };
    let left = names;
    for (let attempt = 0; attempt < 50 && left.length > 0; attempt += 1) left = await missing();
    expect(left).toEqual([]);
    expect(lab.host(2).pathOf(4, fromMs)).not.toContain("failed");
    expect(lab.host(2).stateOf(4)).toBe("joined");
  });

  it("take over another node list and token without forgetting who stays", async () => {
    const fromMs = performance.now();
    const text = confOf({ nodes: [2, 4], tokenMs: 500 });
    for (const node of [2, 4]) lab.host(node).order({ kind: "config", text });
    await lab.host(2).until("8 is gone from the list", () => lab.host(2).lastPeers?.peers.length === 1);
    await lab.host(4).until("8 is gone from the list", () => lab.host(4).lastPeers?.peers.length === 1);
    expect(lab.host(2).pathOf(4, fromMs)).toEqual(["joined"]);
    for (const node of [2, 4]) lab.host(node).order({ kind: "config", text: confOf({}) });
    await lab.allJoined();
    expect(lab.host(2).pathOf(4, fromMs)).toEqual(["joined"]);
  });

  it("live on without an address, say so, and recover when it is back", async () => {
    const host = lab.host(4);
    for (const ring of [0, 1])
      host.inHost("ip", "addr", "del", `${addressOf(4, ring)}/24`, "dev", `eth${ring}`);
    const reason = () => host.lastPeers?.peers[0]?.reason.code;
    await host.until("it knows why", () => reason() === "ADDRESS_MISSING" && host.stateOf(2) === "failed");
    for (const ring of [0, 1])
      host.inHost("ip", "addr", "add", `${addressOf(4, ring)}/24`, "dev", `eth${ring}`);
    await lab.allJoined();
  });

  it("stop quietly while the evaluator goes on, with a goodbye once its ballots say that it leaves", async () => {
    const fromMs = performance.now();
    expect(await lab.host(8).stopMembership("SIGTERM")).toBe(0);
    lab.host(8).startMembership();
    await lab
      .host(8)
      .until("it is back", () =>
        lab.host(8).lines.some((line) => line.atMs > fromMs + 300 && line.kind === "peers"),
      );
    await lab.allJoined();
    expect(lab.host(2).pathOf(8, fromMs)).not.toContain("left");

    lab.host(8).order({ kind: "ballots", everyMs: 100, leaving: true });
    const from = lab.host(2).lines.length;
    const heard = () =>
      lab
        .host(2)
        .lines.slice(from)
        .filter((line) => line["from"] === 8).length;
    await lab.host(2).until("its leaving is heard", () => heard() > 2);
    expect(await lab.host(8).stopMembership("SIGTERM")).toBe(0);
    await lab.host(2).until("it has left", () => lab.host(2).stateOf(8) === "left", 300);
    lab.host(8).order({ kind: "ballots", everyMs: 100, leaving: false });
    lab.host(8).startMembership();
    await lab.allJoined();
  });

  it("keep trying while another program has the port", async () => {
    const host = lab.host(8);
    await host.stopMembership("SIGKILL");
    const squatter = await squat(lab, 8);
    host.startMembership();
    const problem = () => host.logs.some((line) => line.includes("PORT_TAKEN"));
    await host.until("it says that the port is taken", problem);
    expect(host.membership?.exitCode).toBeNull();
    squatter();
    const links = () => lab.host(2).lastPeers?.peers.find((peer) => peer.node === 8)?.links;
    await lab.host(2).until("ring 0 of 8 is back", () => links()?.[0]?.heard === true);
  });
});

// A start from the sources on a machine that other tests keep busy takes longer than from a bundle: hence T.
describe("three real memberships, token 10000", () => {
  beforeAll(async () => {
    lab = new Lab();
    await lab.up(confOf({ tokenMs: 10_000 }));
  });
  afterAll(() => lab.down());

  it("do not notice that one of them was killed and started again", async () => {
    const fromMs = performance.now();
    const incarnation = lab.host(2).lastPeers?.peers.find((peer) => peer.node === 4)?.incarnation ?? 0;
    await lab.host(4).stopMembership("SIGKILL");
    lab.host(4).startMembership();
    const later = () =>
      (lab.host(2).lastPeers?.peers.find((peer) => peer.node === 4)?.incarnation ?? 0) > incarnation;
    await lab.host(2).until("the new incarnation is heard", later);
    process.stdout.write(`heard again ${Math.round(performance.now() - fromMs)} ms after the kill\n`);
    await lab.allJoined();
    for (const node of [2, 8]) {
      expect(lab.host(node).pathOf(4, fromMs)).not.toContain("failed");
      expect(lab.host(node).stateOf(4)).toBe("joined");
    }
  });
});

/** Something else on the heartbeat port of a host's ring 0; answers how to end it. */
async function squat(at: Lab, node: number): Promise<() => void> {
  const code = `const s=require("dgram").createSocket("udp4");s.bind(5405,${JSON.stringify(addressOf(node, 0))},()=>console.log("up"))`;
  const child = spawn("nsenter", [
    `--net=/run/netns/${at.host(node).namespace}`,
    process.execPath,
    "-e",
    code,
  ]);
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return () => void child.kill("SIGKILL");
}

describe.each([
  { family: 4 as const, transport: "udp" as const },
  { family: 6 as const, transport: "udp" as const },
  { family: 6 as const, transport: "udpu" as const },
])("three real memberships, IPv$family, transport $transport", ({ family, transport }) => {
  beforeAll(async () => {
    lab = new Lab();
    await lab.up(confOf({ family, transport }));
  });
  afterAll(() => lab.down());

  it("join over both rings and notice a death", async () => {
    const links = () => lab.host(2).lastPeers?.peers.flatMap((peer) => peer.links) ?? [];
    await lab.host(2).until("all links carry", () => links().every((link) => link.hears && link.heard));
    expect(links().length).toBe(4);
    await lab.host(4).stopMembership("SIGKILL");
    await lab.host(2).until("node 4 has failed", () => lab.host(2).stateOf(4) === "failed");
    expect(lab.host(2).stateOf(8)).toBe("joined");
  });
});
