/** Faults inside one host's kernel, disk and clock, and of a machine that has no time or memory for us. */
import { type ChildProcess, spawn } from "node:child_process";
import { VIP } from "../configuration.ts";
import { LAB_MARK } from "../switch.ts";
import { type Draft, onAll, onBoth, onMaster } from "./draft.ts";
import type { Fault } from "./fault.ts";
import { GUESTS_GO_ON, KILLED, NOT_A_GAP } from "./faults-host.ts";
import { FAKETIME_FILE } from "./hosts.ts";
import type { Injection } from "./injection.ts";

const rulesetFlushed: Draft = {
  title: "ruleset flushed",
  expectedCause: { asked: "struck", kind: /^ruleset-flushed: / },
  inject: async (injection) => {
    injection.began();
    await injection.shell("nft flush ruleset");
    injection.ended();
  },
};

const addressRemoved: Draft = {
  title: "cluster address removed by hand",
  reach: [GUESTS_GO_ON],
  expectedCause: { asked: "struck", kind: /^(address-missing|changed-by-others): / },
  inject: async (injection) => {
    injection.began();
    await injection.shell(`ip address delete ${VIP}/24 dev vmbr0`);
    injection.ended();
  },
};

const CLOCK_MS = 4000;

/** Back again at the end: both directions are stepped in each sample. */
function clockStep(offset: string): Draft {
  return {
    title: `wall clock stepped by ${offset === "+1h" ? "an hour forward" : "an hour back"}, and back again`,
    hosts: "faketime",
    group: "clock",
    samplesPerLab: 40,
    reach: [NOT_A_GAP, GUESTS_GO_ON],
    expectedCause: { asked: "struck", kind: /^clock-stepped: / },
    inject: async (injection) => {
      injection.began();
      await injection.shell(`echo '${offset}' > ${FAKETIME_FILE}`);
      await injection.wait(CLOCK_MS);
      await injection.shell(`echo '+0' > ${FAKETIME_FILE}`);
      injection.ended();
    },
  };
}

const FULL_MS = 5000;
const FILLER = "/var/lib/quorate/filler";

async function fillDisk(injection: Injection, node = injection.node): Promise<void> {
  injection.began();
  // It ends with "no space left".
  await injection.shell(`dd if=/dev/zero of=${FILLER} bs=64k 2>/dev/null || true`, node);
}

const diskFull: Draft = {
  title: "state folder full for 5 s",
  hosts: "small-disk",
  group: "disk",
  reach: [NOT_A_GAP, GUESTS_GO_ON],
  // Nobody has to write while it lasts; who has to cannot, and says so.
  expectedCause: { asked: "struck", kind: /^disk-(full|refused): / },
  inject: async (injection) => {
    await fillDisk(injection);
    await injection.wait(FULL_MS);
    await injection.shell(`rm ${FILLER}`);
    injection.ended();
  },
};

/**
 * Who comes back finds no room: for a lock, a log line, a promise. An evaluator that cannot write says nothing (INV-6),
 * so its node may be taken for dead: two faults at once, and more is excused.
 */
const diskFullKill: Draft = {
  ...diskFull,
  reach: [],
  title: "state folder full for 5 s, one process killed meanwhile",
  expectedCause: { asked: "struck", kind: /^(process-killed|disk-refused|disk-full): / },
  inject: async (injection) => {
    const name = KILLED[injection.round % KILLED.length] ?? "";
    injection.details.push(`killed: ${name}`);
    await fillDisk(injection);
    await injection.lab.signalNamed(injection.node, name, "SIGKILL");
    await injection.wait(FULL_MS);
    await injection.shell(`rm ${FILLER}`);
    injection.ended();
  },
};

const NO_QUORUM_MS = 4000;

/** The one whose vote is needed cannot write it down: no vote, no master, until there is room again. */
const diskFullElection: Draft = {
  ...diskFull,
  title: "state folder of a slave full while the master is cut off for 4 s",
  expectedCause: { asked: "struck", kind: /^(disk-refused|peer-silent): / },
  reach: [],
  inject: async (injection) => {
    const { lab, before, round } = injection;
    const full = before.slaves[round % before.slaves.length] ?? before.master;
    injection.details.push(`the full one: node-${full}`);
    injection.askedNode = full;
    await fillDisk(injection, full);
    await lab.cut(before.master);
    await injection.wait(NO_QUORUM_MS);
    await injection.shell(`rm ${FILLER}`, full);
    await injection.wait(NO_QUORUM_MS);
    await lab.heal();
    injection.ended();
  },
};

const PRESSURE_MS = 60_000;

/** Runs these at normal priority beside the hosts for a minute. They carry the lab's mark: `down` ends them. */
function pressure(title: string, scripts: readonly string[]): Draft {
  return {
    title,
    n: 3,
    group: "pressure",
    samplesPerLab: 6,
    reach: [NOT_A_GAP],
    expectedCause: null,
    inject: async (injection) => {
      const env = { PATH: process.env["PATH"], [LAB_MARK]: injection.lab.place.runDir };
      const children: ChildProcess[] = [];
      injection.began();
      try {
        for (const script of scripts) {
          children.push(spawn("perl", ["-e", script], { stdio: "ignore", env }));
        }
        await injection.wait(PRESSURE_MS);
      } finally {
        for (const child of children) child.kill("SIGKILL");
      }
      injection.ended();
    },
  };
}

const BUSY = "1 while 1";
/** 1 GB, touched page by page and given back, over and over. */
const GREEDY = 'while (1) { my $block = "\\0" x (1 << 30); undef $block }';

export const LOCAL_FAULTS: readonly Fault[] = [
  ...onBoth("ruleset-flushed", rulesetFlushed, "nothing"),
  onMaster("address-removed", addressRemoved, "nothing"),
  ...onBoth("clock-forward", clockStep("+1h"), "nothing"),
  ...onBoth("clock-back", clockStep("-1h"), "nothing"),
  ...onBoth("disk-full", diskFull, "nothing"),
  ...onBoth("disk-full-kill", diskFullKill),
  onAll("disk-full-election", diskFullElection, "failover"),
  onAll("cpu-pressure", pressure("both cores busy for 60 s", [BUSY, BUSY]), "nothing"),
  onAll("memory-pressure", pressure("both cores allocating for 60 s", [GREEDY, GREEDY]), "nothing"),
];
