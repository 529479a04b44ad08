/** The product itself, as it is shipped, on three hosts: what a client, an operator and an integrator see of it. */
import { readFileSync } from "node:fs";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { drillSucceeded, runDrill } from "../src/drill.ts";
import { DEFAULT_TOPOLOGY, type Observer, VIP, VIP_V6 } from "../src/index.ts";
import { isManagedService, processesOfHost, waitUntil } from "../src/processes.ts";
import { type EventLog, LIMIT_MS, ProductLab, type Whole } from "./product-lab.ts";

const TEST_LIMIT_MS = 240_000;

let product: ProductLab;

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => {
    process.stderr.write(`${product.logTails()}\n`);
  });
});

/** As the original's `corolistener -l`, every blank of it. */
function nodeList(rows: readonly string[]): string {
  return [
    " VMmanager-cloud node list",
    " =============================================================",
    "         Id               Ip    Status  Master/Slave  Priority",
    ...rows,
    "",
  ].join("\n");
}

/** Those that the switch saw speak for a cluster address. */
function holders(observed: { report: () => { holders: { host: number; vip: string }[] } }): string[] {
  return [...new Set(observed.report().holders.map(({ host, vip }) => `${host} ${vip}`))].sort();
}

describe("the product on the original's file", { timeout: TEST_LIMIT_MS }, () => {
  /** Whom the drill killed. Who leads first is not said: rank is a delay, and the hosts boot one by one. */
  let killed: number | null = null;

  beforeAll(async () => {
    product = await ProductLab.up("product", DEFAULT_TOPOLOGY);
    return () => product.down();
  }, TEST_LIMIT_MS);

  it("survives the drill: one holder at a time, the next configuration on all nodes", async () => {
    const result = await runDrill(product.lab, () => {});
    killed = result.old_master;
    expect(drillSucceeded(result), JSON.stringify(result)).toBe(true);
    expect(result).toMatchObject({
      token_ms: 1000,
      dual_ms: 0,
      config_version_after: result.config_version_before + 1,
      all_nodes_on_new_config: true,
    });
    const { master, version } = await product.whole();
    expect({ master, version }).toEqual({ master: result.new_master, version: result.config_version_after });
  });

  it("moves the master back when the operator says so", async () => {
    const before = await product.whole();
    const [slave = 0] = before.slaves;
    const target = killed ?? slave;
    const asked = before.slaves.find((id) => id !== target) ?? 0;
    const observer = await product.observer();
    await product.serves(before.master, VIP);
    const observed = observer.observe();
    const moved = await product.quorate(asked, "master", "move", String(target));
    const said = expect.stringMatching(new RegExp(`^Node ${target} is master of term \\d+;`));
    expect(moved).toMatchObject({ code: 0, stdout: said });
    await product.serves(target, VIP);
    const after = await product.whole();
    expect(after.master).toBe(target);
    expect(after.term).toBeGreaterThan(before.term);
    expect(observed.report().dualMs).toBe(0);
    expect(holders(observed)).toEqual([`${before.master} ${VIP}`, `${target} ${VIP}`].sort());
    observed.close();
  });

  it("says of itself what is so, on every node", async () => {
    const { master, term, version } = await product.whole();
    for (const id of product.ids) {
      const isMaster = id === master;
      expect(await product.status(id)).toMatchObject({
        summary: expect.stringContaining(`is master of term ${term} and holds ${VIP}`),
        node: { id },
        role: isMaster ? "master" : "slave",
        leader: master,
        quorate: "yes",
        votes: { total: 3, quorum: 2, present: 3 },
        view: { members: [2, 4, 8] },
        configuration: { version, committed: true },
        peers: product.ids.filter((other) => other !== id).map((other) => ({ id: other, state: "joined" })),
        clusterIp: isMaster ? { state: "present", gate: "open" } : { state: "absent", gate: "shut" },
        service: { state: isMaster ? "ready" : "stopped" },
        degraded: [],
        ages: { quorum: expect.any(Number), peers: expect.any(Number), report: expect.any(Number) },
      });
      const text = await product.quorate(id, "status");
      expect(text.stdout).toContain("in force");
      expect(text.stdout).toMatch(/^Age of this +quorum \d+\.\d+ s, /m);
    }
  });

  it("prints the original's layouts, also under the names of its tools", async () => {
    const { master } = await product.whole();
    await product.serves(master, VIP);
    const conf = await product.shell(2, "quorate config show");
    const letter = (id: number) => (id === master ? "M" : "S");
    const prio = (id: number) => new RegExp(`nodeid: ${id}\\n\\s*prio: (\\d+)\\n`).exec(conf)?.[1] ?? "";
    // It took the highest priority, and whoever had it got its own.
    expect(prio(master)).toBe("100");
    expect([2, 4, 8].map(prio).sort()).toEqual(["100", "98", "99"]);
    const list = nodeList([
      `          2    172.31.223.46    joined             ${letter(2)}${prio(2).padStart(10)}`,
      `          4    172.31.223.47    joined             ${letter(4)}${prio(4).padStart(10)}`,
      `          8    172.31.223.48    joined             ${letter(8)}${prio(8).padStart(10)}`,
    ]);
    for (const id of product.ids) expect((await product.quorate(id, "nodes")).stdout).toBe(list);
    await product.shell(
      8,
      'for name in corolistener corosync-quorumtool; do ln -s "$(command -v quorate)" /tmp/$name; done',
    );
    expect(await product.shell(8, "/tmp/corolistener -l")).toBe(list);
    expect(await product.shell(8, "/tmp/corosync-quorumtool -l")).toBe(
      [
        "",
        "Membership information",
        "----------------------",
        "    Nodeid      Votes Name",
        "         2          1 172.31.223.46",
        "         4          1 172.31.223.47",
        "         8          1 172.31.223.48 (local)",
        "",
      ].join("\n"),
    );
    expect(await product.shell(2, "quorate quorum -s")).toMatch(/^Quorate: +Yes$/m);
  });

  it("answers the probes of all four services on every host", async () => {
    const script = `
      const answers = {};
      for (const port of [7401, 7402, 7403, 7404])
        for (const path of ["livez", "readyz", "metrics", "version"]) {
          const answer = await fetch("http://127.0.0.1:" + port + "/" + path);
          answers[port + " " + path] = [answer.status, await answer.text()];
        }
      console.log(JSON.stringify(answers));`;
    const services = ["membership", "quorum-evaluator", "failover-actuator", "config-distributor"];
    for (const id of product.ids) {
      const result = await product.lab.exec(id, ["node", "--input-type=module", "--eval", script]);
      const answers = JSON.parse(result.stdout) as Record<string, [number, string]>;
      for (const [index, service] of services.entries()) {
        const of = (path: string) => answers[`${7401 + index} ${path}`] ?? [0, ""];
        expect(of("livez")[0], `${service} of ${id}`).toBe(200);
        expect(of("readyz"), `${service} of ${id}`).toEqual([200, expect.stringContaining('"ok":true')]);
        expect(of("metrics"), `${service} of ${id}`).toEqual([200, expect.stringMatching(/^quorate_\w+/m)]);
        expect(JSON.parse(of("version")[1])).toMatchObject({ service });
      }
    }
  });

  it("takes an edited file on all nodes, and a stock NATS client hears of it", async () => {
    const before = await product.whole();
    const events = await product.events(8);
    const mark = events.mark();
    await product.shell(
      2,
      "quorate config show > /tmp/next.conf && echo '# edited by hand' >> /tmp/next.conf",
    );
    const applied = await product.quorate(2, "config", "apply", "/tmp/next.conf");
    const version = before.version + 1;
    expect(applied).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`Committed as version ${version} `),
    });
    for (const id of product.ids) {
      const { subject, event } = await events.next(
        mark,
        `version ${version} committed on ${id}`,
        ({ nodeid, type, data }) =>
          nodeid === id &&
          type === "quorate.v1.config.config_committed" &&
          (data.new as { version: number }).version === version,
      );
      expect(subject).toBe(`quorate.v1.VMmanager.${id}.config.config_committed`);
      expect(event).toMatchObject({
        specversion: "1.0",
        source: expect.stringContaining(`/VMmanager/${id}/`),
      });
    }
    expect((await product.whole()).version).toBe(version);
    const shown = await Promise.all(product.ids.map((id) => product.quorate(id, "config", "show")));
    expect(new Set(shown.map(({ stdout }) => stdout)).size).toBe(1);
    expect(shown[0]?.stdout).toMatch(/\n# edited by hand\n$/);
    expect(shown[0]?.stdout).toContain(`\tconfig_version: ${version}\n`);
  });

  it("refuses a broken file with 78, saying where, and goes on with what it had", async () => {
    const { version } = await product.whole();
    await product.shell(2, "quorate config show | sed 's/prio: 98/prio: high/' > /tmp/broken.conf");
    const line = (await product.shell(2, "grep -n high /tmp/broken.conf | cut -d: -f1")).trim();
    for (const command of ["apply", "check"]) {
      const refused = await product.quorate(2, "config", command, "/tmp/broken.conf");
      expect(refused.code).toBe(78);
      expect(refused.stdout + refused.stderr).toMatch(new RegExp(`/tmp/broken\\.conf:${line}:\\d+: `));
    }
    expect((await product.whole()).version).toBe(version);
  });
});

describe("the product puts right what others change", { timeout: TEST_LIMIT_MS }, () => {
  let observer: Observer;
  let events: EventLog;
  let start: Whole;

  beforeAll(async () => {
    product = await ProductLab.up("repairs", DEFAULT_TOPOLOGY);
    return () => product.down();
  }, TEST_LIMIT_MS);

  beforeAll(async () => {
    start = await product.whole();
    observer = await product.observer();
    events = await product.events(start.master);
  }, TEST_LIMIT_MS);

  /** Waits for the master's word that it repaired, and then for the service's answer at the address. */
  async function repaired(mark: number, what: string): Promise<void> {
    await events.next(
      mark,
      `repair of ${what}`,
      ({ nodeid, type, data }) =>
        nodeid === start.master && type === "quorate.v1.failover.repaired" && data.new === what,
    );
    await product.serves(start.master, VIP);
  }

  async function stillTheSame(): Promise<void> {
    const { master, term, view } = await product.whole();
    expect({ master, term, view }).toEqual({ master: start.master, term: start.term, view: start.view });
  }

  it("an address that was taken off its interface", async () => {
    const observed = observer.observe();
    const mark = events.mark();
    await product.shell(start.master, `ip address delete ${VIP}/24 dev vmbr0`);
    await repaired(mark, VIP);
    expect(await product.shell(start.master, "ip -oneline address show dev vmbr0")).toContain(` ${VIP}/24 `);
    await stillTheSame();
    expect(holders(observed)).toEqual([`${start.master} ${VIP}`]);
    observed.close();
  });

  it("a gate whose rules were flushed: shut again, then opened, for as long as the lease lasts", async () => {
    const observed = observer.observe();
    const mark = events.mark();
    await product.shell(start.master, "nft flush ruleset");
    await repaired(mark, "loaded");
    const after = events.heard.findIndex(
      ({ event }, index) => index >= mark && event.type === "quorate.v1.failover.repaired",
    );
    await events.next(after, "the gate opened", ({ type }) => type === "quorate.v1.failover.gate_opened");
    await product.serves(start.master, VIP);
    const element = new RegExp(`${VIP.replaceAll(".", "\\.")} timeout \\S+ expires \\S+`);
    expect(await product.shell(start.master, "nft list table ip quorate")).toMatch(element);
    await stillTheSame();
    expect(observed.report().dualMs).toBe(0);
    observed.close();
  });

  it("a lock file that was deleted", async () => {
    const before = await product.shell(start.master, "cat /run/quorate/service.lock");
    const mark = events.mark();
    await product.shell(start.master, "rm /run/quorate/service.lock");
    await repaired(mark, "lock");
    expect(await product.shell(start.master, "cat /run/quorate/service.lock")).toBe(before);
    await stillTheSame();
  });

  it("a managed service that was killed", async () => {
    const initPid = product.lab.host(start.master).init?.pid ?? 0;
    const service = () => processesOfHost(initPid).find(isManagedService)?.pid ?? 0;
    const before = service();
    expect(before).toBeGreaterThan(0);
    const mark = events.mark();
    process.kill(before, "SIGKILL");
    await repaired(mark, "managed service");
    const ready = ({ type }: { type: string }) => type === "quorate.v1.failover.service_ready";
    await events.next(mark, "the service ready", ready);
    expect(readFileSync(`/proc/${service()}/cmdline`, "utf8")).toContain("service.mjs");
    expect(service()).not.toBe(before);
    await stillTheSame();
  });

  it("and without quorum gives everything up, says so and how old that is, and comes back", async () => {
    const { master, slaves } = start;
    const observed = observer.observe();
    const mark = events.mark();
    const others = (seen: { kind: string; host: number }) =>
      seen.host !== master && (seen.kind === "icmp-reply" || seen.kind === "arp-reply");
    const taken = observer.waitFor(others, LIMIT_MS);
    await product.lab.partition(slaves);
    // Events go on for whoever listens on the node itself.
    await events.next(
      mark,
      "the suspension",
      ({ nodeid, type, data }) =>
        nodeid === master && type === "quorate.v1.quorum.role_changed" && data.new === "suspended",
    );
    const alone = await product.until(
      master,
      ({ role, clusterIp, service }) =>
        role === "suspended" && clusterIp.state === "absent" && service.state === "stopped",
    );
    expect(alone).toMatchObject({
      leader: null,
      quorate: "no",
      clusterIp: { gate: "shut" },
      degraded: expect.arrayContaining([expect.objectContaining({ code: "suspended" })]),
      ages: { quorum: expect.any(Number), peers: expect.any(Number), report: expect.any(Number) },
    });
    expect(await product.shell(master, "ip -oneline address show")).not.toContain(`${VIP}/`);
    const text = await product.quorate(master, "status");
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/^VMmanager: node \d has no quorum and is suspended in term \d+/);
    expect(text.stdout).toMatch(/^Age of this +quorum \d+\.\d+ s, /m);
    expect((await product.quorate(master, "quorum", "-s")).code).toBe(2);
    const next = await taken;
    expect(slaves).toContain(next?.host);
    await product.lab.heal();
    const whole = await product.whole();
    expect(whole.term).toBeGreaterThan(start.term);
    await product.serves(whole.master, VIP);
    expect(observed.report().dualMs).toBe(0);
    observed.close();
  });
});

describe("the product on two rings with unicast and a second address, IPv6", {
  timeout: TEST_LIMIT_MS,
}, () => {
  let observer: Observer;
  let start: Whole;

  beforeAll(async () => {
    const topology = { tokenMs: 1000, transport: "udpu", rings: 2, ipv6: true, guests: 0 } as const;
    product = await ProductLab.up("rings", topology);
    return () => product.down();
  }, TEST_LIMIT_MS);

  beforeAll(async () => {
    start = await product.whole();
    observer = await product.observer();
  }, TEST_LIMIT_MS);

  const linkOf = (
    status: { peers: { id: number; links: { ring: number; hears: boolean; heard: boolean }[] }[] },
    id: number,
    ring: number,
  ) => status.peers.find((peer) => peer.id === id)?.links.find((link) => link.ring === ring);

  it("serves at both addresses", async () => {
    await Promise.all([product.serves(start.master, VIP), product.serves(start.master, VIP_V6)]);
  });

  it.each([
    { ring: 1, how: "cut" },
    { ring: 0, how: "silent" },
  ])("does not mind ring $ring, $how, of a host", async ({ ring, how }) => {
    const before = await product.whole();
    // The addresses are on ring 0: its carrier may fail only where nobody serves.
    const [slave = 0] = before.slaves;
    const victim = ring === 1 ? before.master : slave;
    const witness = ring === 1 ? slave : before.master;
    const observed = observer.observe();
    if (how === "cut") await product.lab.cut(victim, ring);
    else await product.lab.partition([victim], ring);
    const status = await product.until(witness, (said) => linkOf(said, victim, ring)?.hears === false);
    expect(status.peers.find(({ id }) => id === victim)?.state).toBe("joined");
    await product.lab.heal();
    for (const id of [victim, witness]) {
      const other = id === victim ? witness : victim;
      await product.until(id, (said) => {
        const link = linkOf(said, other, ring);
        return link?.hears === true && link.heard;
      });
    }
    expect(await product.whole()).toEqual(before);
    await product.serves(before.master, VIP);
    expect(holders(observed)).toEqual([`${before.master} ${VIP}`, `${before.master} ${VIP_V6}`].sort());
    observed.close();
  });

  it("brings both addresses to another host when their host dies", async () => {
    const { master, slaves } = await product.whole();
    const observed = observer.observe();
    const taken = [VIP, VIP_V6].map((vip) =>
      observer.waitFor((seen) => seen.kind === "http" && seen.host !== master && seen.vip === vip, LIMIT_MS),
    );
    await product.lab.kill(master);
    const hosts = (await Promise.all(taken)).map((answer) => answer?.host);
    expect(slaves).toContain(hosts[0]);
    expect(hosts[1]).toBe(hosts[0]);
    const both = [VIP, VIP_V6];
    const isSeen = () => holders(observed).length === 2 * both.length;
    expect(await waitUntil(isSeen, LIMIT_MS)).toBe(true);
    expect(observed.report().dualMs).toBe(0);
    observed.close();
  });
});
