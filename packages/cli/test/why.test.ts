import { describe, expect, it } from "vitest";
import { parseConfiguration } from "../src/configuration-file.ts";
import { parseMoment } from "../src/moment.ts";
import { choose } from "../src/why/choose.ts";
import { explain } from "../src/why/explain.ts";
import { parseTarget } from "../src/why/target.ts";
import { CLUSTER_CONF } from "./fixture.ts";
import {
  A,
  LOST,
  M,
  MASTER,
  Q,
  S,
  SLAVE,
  WALL_MS,
  WON,
  decisions,
  master,
  peer,
  role,
  rowsOf,
  why,
  type Told,
} from "./why-story.ts";

describe("quorate why", () => {
  it("a host that lost its power says so when it is back", () => {
    const before = decisions(MASTER);
    const after = decisions(
      [
        [
          70_000,
          "journal",
          "HOST_WENT_DOWN",
          "This host went down without an orderly stop some time after 10:00:01: power, a crash, or a reset.",
        ],
        [70_100, S, "node_start", "Node 4 of C is started.", { event: "node.node_started", new: "running" }],
        [72_000, Q, "MASTER_KNOWN", "Node 2 is master of term 2.", master(null, 2, 2)],
        [72_010, Q, "SLAVE", "In the view; follows node 2.", role("suspended", "slave", 2)],
      ],
      "1111111111111111",
    );
    const rows = rowsOf([...before, ...after]);
    const decision = choose(rows, { kind: "last" });
    const explanation = decision === null ? null : explain(rows, decision);
    expect(explanation?.sentence).toMatch(
      /node 4 found node 2 master of term 2 because this host went down without an orderly stop/,
    );
    expect(explanation?.since).toContain("Node 4 is slave of node 2");
  });

  it("what a node learns when it comes back does not hide why it was away", () => {
    const told: Told[] = [
      ...MASTER,
      [60_500, A, "CARRIER", "vmbr0: carrier down."],
      ...LOST,
      [
        89_500,
        A,
        "NO_CARRIER",
        "It is over: no carrier.",
        { event: "failover.problem_gone", old: "NO_CARRIER" },
      ],
      [90_000, Q, "MASTER_KNOWN", "Node 2 is master of term 2.", master(null, 2, 2)],
      [90_010, Q, "VIEW_ADOPTED_OUT", "View 2.2 has 2 members; this node is not one of them."],
      [91_000, Q, "SLAVE", "In the view; follows node 2.", role("suspended", "slave", 2)],
    ];
    const explanation = why(told);
    expect(explanation?.cause?.kind).toBe("no-carrier");
    expect(explanation?.since).toBe("Node 4 is slave of node 2 since 10:01:31.000.");
  });

  it("a restarted evaluator that goes on in its term is no new master", () => {
    const explanation = why([
      ...MASTER,
      [
        61_000,
        S,
        "process_exit",
        "quorum-evaluator ended.",
        { facts: { process: "quorum-evaluator", how: "killed by SIGKILL" } },
      ],
      [
        61_300,
        Q,
        "RESUMED",
        "Restarted as master of term 1; its lease has not lapsed.",
        { facts: { term: 1 } },
      ],
      [61_310, Q, "MASTER", "Master of term 1.", role("suspended", "master", 1)],
    ]);
    expect(explanation?.decision.code).toBe("process_exit");
  });

  it("a restarted evaluator that finds its master again names what killed it, not that master", () => {
    const killed = (atMs: number, name: string): Told => [
      atMs,
      S,
      "process_exit",
      `${name} (pid 7) ended: killed by SIGKILL.`,
      { facts: { process: name, how: "killed by SIGKILL" } },
    ];
    const back: Told[] = [
      [61_300, M, "answer-missing", "Node 2 is heard.", peer(2, "suspect")],
      [61_400, Q, "MASTER_KNOWN", "Node 2 is master of term 1.", master(null, 2, 1)],
    ];
    const both = [killed(60_990, "membership"), killed(61_000, "quorum-evaluator")];
    const found = why([...SLAVE, ...both, ...back]);
    expect([found?.decision.code, found?.cause?.kind]).toEqual(["process_exit", "process-killed"]);
    const later: Told = [61_400, Q, "MASTER_KNOWN", "Node 2 is master of term 3.", master(2, 2, 3)];
    const elected = why([...SLAVE, ...both, later]);
    expect(elected?.sentence).toMatch(/node 2 became master of term 3 because membership and/);
  });

  it("a process that stood still for a moment is not told before one that was killed", () => {
    const stalled = (lateMs: number): Told => [
      60_000,
      Q,
      "PROCESS_FROZEN",
      "This process did not run for a while.",
      { facts: { lateMs } },
    ];
    const exit: Told = [
      62_000,
      S,
      "process_exit",
      "membership (pid 7) ended: killed by SIGKILL.",
      { facts: { process: "membership", how: "killed by SIGKILL" } },
    ];
    expect(why([...SLAVE, stalled(400)])?.decision.code).toBe("PROCESS_FROZEN");
    expect(why([...SLAVE, stalled(400), exit])?.decision.code).toBe("process_exit");
    expect(why([...SLAVE, stalled(2000), exit])?.decision.code).toBe("PROCESS_FROZEN");
  });

  it("a master that is elected again soon after its start tells why it was suspended in between", () => {
    const again: Told[] = [
      [10_900, M, "silent", "Silent.", peer(2, "failed", { silentMs: 1000 })],
      [10_910, M, "silent", "Silent.", peer(8, "failed", { silentMs: 1000 })],
      [11_000, Q, "NO_LEASE", "No lease.", role("master", "suspended", 1)],
      [15_000, Q, "MASTER", "Master of term 2.", role("suspended", "master", 2)],
    ];
    const explanation = why([...MASTER, ...again]);
    expect(explanation?.cause?.kind).toBe("cut-off");
    expect(explanation?.sentence).toContain("a majority is joined again, after this node had been suspended");
  });

  it("a process that was killed was killed, whatever else was wrong just before", () => {
    const missing: Told = [60_000, M, "ADDRESS_MISSING", "No address fits ring 0.", peer(8, "failed")];
    const restarted: Told = [
      62_010,
      S,
      "process_ended",
      "membership (pid 7) had ended (killed by SIGKILL) and was started again (pid 9).",
      { event: "node.process_restarted", old: 7, new: 9, facts: { process: "membership" } },
    ];
    const exit: Told = [
      62_000,
      S,
      "process_exit",
      "membership (pid 7) ended: killed by SIGKILL.",
      { facts: { process: "membership", how: "killed by SIGKILL" } },
    ];
    expect(why([...SLAVE, missing, exit, restarted])?.cause?.kind).toBe("process-killed");
  });

  it("what strikes right after an election is a story of its own; the same thing again is not", () => {
    const killed = (atMs: number, name: string): Told => [
      atMs,
      S,
      "process_exit",
      `${name} ended.`,
      { facts: { process: name, how: "killed by SIGKILL" } },
    ];
    expect(why([...MASTER, killed(3000, "membership")])?.decision.code).toBe("process_exit");
    const down = [killed(60_500, "nats-server"), ...LOST, killed(62_000, "nats-server")];
    expect(why([...MASTER, ...down])?.sentence).toMatch(/lost the mastership .* because nats-server/);
  });

  it("about a node, a term, a time; nothing when nothing is known", () => {
    const told: Told[] = [
      ...SLAVE,
      [60_950, M, "silent", "Silent.", peer(2, "failed", { silentMs: 1000 })],
      ...WON,
      [200_000, M, "silent", "Node 8 has been silent.", peer(8, "failed", { silentMs: 1000 })],
    ];
    expect(why(told, { kind: "node", node: 8 })?.sentence).toMatch(
      /took node 8 for failed because node 8 fell silent/,
    );
    expect(why(told, { kind: "term", term: 2 })?.decision.code).toBe("MASTER");
    expect(why(told, { kind: "term", term: 1 })?.decision.message).toBe("Node 2 is master of term 1.");
    expect(why(told, { kind: "time", atMs: WALL_MS + 61_000 })?.decision.code).toBe("MASTER");
    expect(why(told, { kind: "term", term: 77 })).toBeNull();
    expect(why(told, { kind: "node", node: 77 })).toBeNull();
    expect(why(told, { kind: "time", atMs: WALL_MS - 86_400_000 })).toBeNull();
    expect(why([])).toBeNull();
  });

  it("about the time of a clock step, whatever the clock showed meanwhile", () => {
    const stepped = (atMs: number, way: string, stampedMs: number): Told => [
      atMs,
      "journal",
      "CLOCK_STEPPED",
      `The wall clock of this host was set ${way} by 1.00 h.`,
      { wallMs: WALL_MS + stampedMs },
    ];
    const hourMs = 3_600_000;
    for (const [first, then, whileMs] of [
      ["forward", "back", hourMs],
      ["back", "forward", -hourMs],
    ] as const) {
      const told = [...SLAVE, stepped(61_500, first, 61_500 + whileMs), stepped(65_500, then, 65_500)];
      const asked = why(told, { kind: "time", atMs: WALL_MS + 60_000 });
      expect(asked?.cause?.kind).toBe("clock-stepped");
      expect(asked?.sentence).toContain(`was set ${then} by 1.00 h`);
    }
  });
});

it.each([
  [2, true],
  [8, false],
])("an order to move the mastership to node 2 is why node %s leads: %s", (leader, isWhy) => {
  const order = { facts: { node: 2, term: 1 } };
  const told: Told[] = [
    ...MASTER,
    [60_000, Q, "MOVE_ORDERED", "An operator moves the mastership to node 2.", order],
    [60_500, Q, "MASTER_KNOWN", `Node ${leader} is master of term 2.`, master(4, leader, 2)],
  ];
  const rows = rowsOf(decisions(told));
  const decision = choose(rows, { kind: "term", term: 2 });
  const sentence = decision === null ? "" : explain(rows, decision).sentence;
  expect(sentence).toContain(`node ${leader} became master of term 2`);
  expect(sentence.includes("an operator moves")).toBe(isWhy);
});

describe("why a machine is where it is", () => {
  const told: Told[] = [
    ...MASTER,
    [10_000, A, "VM_PLACED", "web is given to node 2: …", { facts: { vm: "web", node: 2 } }],
    [11_000, A, "VM_PLACED", "db is given to node 8: …", { facts: { vm: "db", node: 8 } }],
    [200_000, A, "VM_MOVING", "web is moved live from node 2 to node 8.", { facts: { vm: "web", to: 8 } }],
    [201_000, A, "VM_MOVE_FAILED", "The move of web … was broken off: no room.", { facts: { vm: "web" } }],
    [300_000, A, "WATCHDOG_STARVES", "The watchdog is not fed any more …", { facts: { vms: "db raw" } }],
  ];
  const rows = rowsOf(decisions(told));
  const explained = (vm: string) => {
    const decision = choose(rows, { kind: "vm", vm });
    return decision === null ? null : explain(rows, decision);
  };

  it("is its last decision, with its rule and what was decided of it before", () => {
    const web = explained("web");
    expect(web?.sentence).toContain("The move of web … was broken off: no room.");
    expect(web?.rule).toContain("leaves the machine where it is");
    expect(web?.before.map(({ code }) => code)).toEqual(["VM_PLACED", "VM_MOVING"]);
    expect(web?.before.some(({ message }) => message.startsWith("db"))).toBe(false);
  });

  it("is found where a decision names several, and not where none does", () => {
    expect(explained("raw")?.decision.code).toBe("WATCHDOG_STARVES");
    expect(explained("ra")).toBeNull();
  });
});

describe("what why is asked about", () => {
  const { config } = parseConfiguration(CLUSTER_CONF, "test.conf");
  const nowMs = new Date(2026, 10, 22, 12, 0, 0).getTime();
  const ask = (text?: string) => parseTarget(text, config, nowMs);

  it("is a machine where no node has that name", () => {
    expect(ask("web")).toEqual({ kind: "vm", vm: "web" });
    expect(ask("vm:4")).toEqual({ kind: "vm", vm: "4" });
    expect(ask("172.31.223.47")).toEqual({ kind: "node", node: 4 });
  });

  it("is a node, a term or a time", () => {
    expect(ask()).toEqual({ kind: "last" });
    expect(ask("4")).toEqual({ kind: "node", node: 4 });
    expect(ask("node:4")).toEqual({ kind: "node", node: 4 });
    expect(ask("7")).toEqual({ kind: "term", term: 7 });
    expect(ask("term:4")).toEqual({ kind: "term", term: 4 });
    expect(ask("10:15")).toEqual({ kind: "time", atMs: new Date(2026, 10, 22, 10, 15).getTime() });
    expect(ask("13:00:01.5")).toEqual({
      kind: "time",
      atMs: new Date(2026, 10, 21, 13, 0, 1, 500).getTime(),
    });
    expect(ask("5m ago")).toEqual({ kind: "time", atMs: nowMs - 300_000 });
    expect(ask("2026-11-22T10:15:00Z")).toEqual({ kind: "time", atMs: Date.UTC(2026, 10, 22, 10, 15) });
  });

  it("is refused when it is none of them, with what to say instead", () => {
    const code = (text: string) => {
      try {
        ask(text);
        return "taken";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    for (const text of ["25:00", "10:61", "2026-13-40", "term:x", "term:", "term:-1"])
      expect(code(text), text).toBe("USAGE");
    for (const text of ["no body", "node:9", "node:"]) expect(code(text), text).toBe("NODE_UNKNOWN");
    expect(parseMoment("yesterday", nowMs)).toBeNull();
  });
});
