import { describe, expect, it } from "vitest";
import { A, LOST, M, MASTER, Q, S, SLAVE, WON, link, peer, role, why, type Told } from "./why-story.ts";

describe("quorate why names the cause", () => {
  const cases: Array<[what: string, told: Told[], kind: string, sentence: RegExp]> = [
    [
      "the old master fell silent",
      [
        ...SLAVE,
        [60_500, M, "link-silent", "Node 2 on ring 0 is not heard.", link(2, 0)],
        [60_950, M, "silent", "Node 2 has been silent.", peer(2, "failed", { silentMs: 1000 })],
        ...WON,
      ],
      "peer-silent",
      /^At 10:01:01\.021 node 4 became master of term 2 because node 2 fell silent: last heard 10:00:59\.950 on ring 0; its host is dead, or its network is gone/,
    ],
    [
      "others still heard it",
      [
        ...SLAVE,
        [60_950, M, "silent", "Silent.", peer(2, "failed", { silentMs: 1000, heardBy: "8" })],
        ...WON,
      ],
      "peer-silent",
      /node 8 still heard it then, so its host lived and the path between the two is cut/,
    ],
    [
      "the old master said goodbye",
      [...SLAVE, [60_900, M, "goodbye", "Node 2 said goodbye.", peer(2, "left")], ...WON],
      "peer-left",
      /stopped in good order/,
    ],
    [
      "the old master handed over",
      [...SLAVE, [60_990, Q, "STANDING", "Standing.", { facts: { term: 2, releasedBy: 2 } }], ...WON],
      "handed-over",
      /node 2 released the term in its favour/,
    ],
    [
      "the old master hears nobody",
      [...SLAVE, [60_900, M, "not-heard-by-peer", "One way.", peer(2, "one-way")], ...WON],
      "one-way",
      /frames from here to there are lost/,
    ],
    [
      "its loss is long ago",
      [...SLAVE, [40_000, M, "silent", "Silent.", peer(2, "failed", { silentMs: 1000 })], ...WON],
      "peer-silent",
      /node 2 fell silent/,
    ],
    [
      "this node was cut off",
      [
        ...MASTER,
        [60_950, M, "silent", "Silent.", peer(2, "failed", { silentMs: 1000 })],
        [60_960, M, "silent", "Silent.", peer(8, "failed", { silentMs: 1000 })],
        ...LOST,
      ],
      "cut-off",
      /lost the mastership of term 1 and was suspended because it heard none of the others any more \(nodes 2 and 8; last 10:00:59\.960\)/,
    ],
    [
      "this node is not heard",
      [
        ...MASTER,
        [60_950, M, "not-heard-by-peer", "One way.", peer(2, "one-way")],
        [60_960, M, "not-heard-by-peer", "One way.", peer(8, "one-way")],
        ...LOST,
      ],
      "one-way",
      /node 2 and 8 are heard but do not hear this node: what this node sends is lost/,
    ],
    [
      "no carrier",
      [
        ...MASTER,
        [60_500, A, "CARRIER", "vmbr0: carrier down."],
        [60_500, A, "NO_CARRIER", "The network interface vmbr0 has no carrier."],
        [60_950, M, "silent", "Silent.", peer(2, "failed", { silentMs: 1000 })],
        [60_960, M, "silent", "Silent.", peer(8, "failed", { silentMs: 1000 })],
        ...LOST,
      ],
      "no-carrier",
      /vmbr0: carrier down since 10:01:00\.500/,
    ],
    [
      "a process was killed after the cable had been plugged in again",
      [
        ...MASTER,
        [57_000, A, "CARRIER", "vmbr0: carrier down."],
        [58_000, A, "CARRIER", "vmbr0: carrier up."],
        ...LOST,
        [
          61_200,
          S,
          "process_exit",
          "quorum-evaluator ended.",
          { facts: { process: Q, how: "killed by SIGKILL" } },
        ],
      ],
      "process-killed",
      /quorum-evaluator of this node was killed by SIGKILL/,
    ],
    [
      "a cable that had been plugged in again, when nothing else explains it",
      [
        ...MASTER,
        [57_000, A, "CARRIER", "vmbr0: carrier down."],
        [58_000, A, "CARRIER", "vmbr0: carrier up."],
        ...LOST,
      ],
      "no-carrier",
      /vmbr0: carrier down since 10:00:57/,
    ],
    [
      "a process was killed seconds after an address was missing",
      [
        ...MASTER,
        [57_000, M, "ADDRESS_MISSING", "No address of this host fits ring 0."],
        ...LOST,
        [
          61_200,
          S,
          "process_exit",
          "quorum-evaluator ended.",
          { facts: { process: Q, how: "killed by SIGKILL" } },
        ],
      ],
      "process-killed",
      /killed by SIGKILL/,
    ],
    [
      "all processes were frozen, noticed after the fact",
      [
        ...MASTER,
        ...LOST,
        [61_050, M, "PROCESS_FROZEN", "Stopped.", { facts: { lateMs: 2000 } }],
        [61_060, Q, "PROCESS_FROZEN", "Stopped.", { facts: { lateMs: 1900 } }],
      ],
      "processes-frozen",
      /the processes of this node \(membership and quorum-evaluator\) were frozen for 2\.0 s from 10:00:59\.050 on \(SIGSTOP/,
    ],
    [
      "the host was overloaded",
      [
        ...MASTER,
        ...LOST,
        [61_050, Q, "PROCESS_STARVED", "Starved.", { facts: { lateMs: 1200, cpuPressurePercent: 93.5 } }],
      ],
      "host-overloaded",
      /got no CPU for 1\.2 s .* the host is overloaded; pressure on the host: CPU 94 %/,
    ],
    [
      "the kernel stood still",
      [...MASTER, [60_900, Q, "HOST_WAS_SUSPENDED", "Suspended.", { facts: { pauseMs: 7000 } }], ...LOST],
      "kernel-paused",
      /the kernel of this host stood still for 7\.0 s/,
    ],
    [
      "the disk refused",
      [
        ...MASTER,
        [60_500, Q, "DISK_REFUSED", "The disk refuses the evaluator's state: no space left."],
        ...LOST,
      ],
      "disk-refused",
      /the disk refuses the evaluator's state: no space left/,
    ],
    [
      "nats-server killed and kept down",
      [
        ...MASTER,
        [
          59_500,
          S,
          "process_exit",
          "nats-server ended.",
          { facts: { process: "nats-server", how: "killed by SIGKILL" } },
        ],
        [59_600, Q, "BUS_AWAY", "The local NATS server does not answer."],
        ...LOST,
      ],
      "process-killed",
      /nats-server of this node was killed by SIGKILL at 10:00:59\.500/,
    ],
    [
      "the bus is away and nobody says why",
      [...MASTER, [59_600, Q, "BUS_AWAY", "Away."], ...LOST],
      "bus-away",
      /local NATS server stopped answering/,
    ],
    [
      "an operator moved it",
      [
        ...MASTER,
        [
          60_900,
          Q,
          "MOVE_ORDERED",
          "An operator moves the mastership to node 2.",
          { event: "quorum.handover_started", old: 4, new: 2, facts: { node: 2, term: 1 } },
        ],
        [60_910, Q, "SLAVE", "In the view.", role("master", "slave", 1)],
      ],
      "operator",
      /gave the mastership of term 1 up because an operator moves the mastership to node 2/,
    ],
    [
      "the ruleset was flushed",
      [
        ...MASTER,
        [61_000, A, "TABLES_LOST", "Somebody changed the gate's tables: table ip quorate is missing."],
        [
          61_200,
          A,
          "REPAIRED",
          "The gate's tables had been removed and stand again, shut.",
          { event: "failover.repaired", old: "missing", new: "loaded" },
        ],
      ],
      "ruleset-flushed",
      /Somebody changed the gate's tables: table ip quorate is missing/,
    ],
    [
      "a foreign machine",
      [
        ...MASTER,
        [
          61_000,
          A,
          "ADDRESS_IN_USE",
          "aa:bb claims 10.0.0.1, which this node holds.",
          { event: "failover.foreign_claim_seen", new: "aa:bb" },
        ],
      ],
      "foreign-claim",
      /on node 4: aa:bb claims 10\.0\.0\.1, which this node holds\.$/,
    ],
    [
      "the clock was set",
      [
        ...SLAVE,
        [
          61_000,
          "journal",
          "CLOCK_STEPPED",
          "The wall clock of this host was set forward by 1.00 h.",
          { facts: { stepMs: 3_600_000 } },
        ],
      ],
      "clock-stepped",
      /wall clock of this host was set forward by 1\.00 h/,
    ],
    [
      "the wall clock was stepped while the host was busy",
      [
        ...SLAVE,
        [60_900, Q, "PROCESS_STARVED", "Late.", { facts: { lateMs: 1800 } }],
        [61_000, "journal", "CLOCK_STEPPED", "The wall clock of this host was set back by 1.00 h."],
      ],
      "clock-stepped",
      /^At 10:01:01\.000 on node 4: The wall clock of this host was set back by 1\.00 h\.$/,
    ],
    [
      "the disk is full and nobody had to write",
      [
        ...SLAVE,
        [60_900, Q, "PROCESS_FROZEN", "Late.", { facts: { lateMs: 1800 } }],
        [61_000, "journal", "DISK_NEARLY_FULL", "The file system of /state is full: it has 0 KB left."],
        [66_000, "journal", "DISK_HAS_ROOM", "The file system of /state has room again: 60000 KB."],
      ],
      "disk-full",
      /^At 10:01:01\.000 on node 4: The file system of \/state is full: it has 0 KB left\.$/,
    ],
    [
      "the disk is full and refused the journal",
      [
        ...SLAVE,
        [60_900, Q, "PROCESS_STARVED", "Late.", { facts: { lateMs: 1800 } }],
        [61_000, "journal", "DISK_NEARLY_FULL", "The file system of /state is full: it has 0 KB left."],
        [61_500, "journal", "DISK_REFUSED", "The disk refuses the journal: database or disk is full."],
      ],
      "disk-refused",
      /The disk refuses the journal: database or disk is full\.$/,
    ],
    [
      "a service ended by an error of its own",
      [
        ...SLAVE,
        [60_990, Q, "CRASHED", "This must not be: {}", { facts: { recording: "/state/crash/q.gz" } }],
        [61_000, S, "process_exit", "quorum-evaluator ended.", { facts: { process: Q, how: "exit code 1" } }],
      ],
      "service-crashed",
      /^At 10:01:00\.990 on node 4: quorum-evaluator ended by an error of its own: This must not be: \{\}\.$/,
    ],
    [
      "a process was killed and nothing came of it",
      [
        ...SLAVE,
        [
          61_000,
          S,
          "process_exit",
          "membership ended.",
          { facts: { process: "membership", how: "killed by SIGKILL" } },
        ],
        [
          61_020,
          S,
          "process_ended",
          "membership (pid 5) had ended (killed by SIGKILL) and was started again (pid 9).",
          { event: "node.process_restarted", old: 5, new: 9, facts: { process: "membership" } },
        ],
      ],
      "process-killed",
      /membership of this node was killed by SIGKILL/,
    ],
    [
      "the cluster just started",
      MASTER,
      "started",
      /became master of term 1 because the node was started at 10:00:00\.000 and nobody was master/,
    ],
  ];
  for (const [what, told, kind, sentence] of cases) {
    it(what, () => {
      const explanation = why(told);
      expect(explanation?.sentence).toMatch(sentence);
      expect(explanation?.cause?.kind).toBe(kind);
      expect(explanation?.rule).toBeTypeOf("string");
    });
  }
});
