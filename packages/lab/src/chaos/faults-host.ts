/** Faults of whole hosts and of our processes: power, freezes, kills, a bus that stays away. */
import { SERVICES } from "@quorate/contracts";
import { type HostProcess, isHypervisor, isManagedService } from "../processes.ts";
import { type Draft, onBoth, onMaster } from "./draft.ts";
import { CHAOS_TOKEN_MS, type Fault, type Reach } from "./fault.ts";
import type { Injection } from "./injection.ts";

/** Nothing may be seen from outside: no answer of the VIP is missing for a tenth of a second. */
export const NOT_A_GAP: Reach = { value: "lost_ms", limit: 0 };
/** A token: a guest that is paused, started anew or shut off from its disk is silent for longer. */
export const GUESTS_GO_ON: Reach = { value: "guest_silence_ms", limit: CHAOS_TOKEN_MS };
/** A thawed node that answers before it has learnt the term. */
const NO_STALE_ANSWER: Reach = { value: "stale_answers", limit: 0 };

const REST_MS = 3000;

const powerCut: Draft = {
  title: "power cut",
  samplesPerLab: 4,
  expectedCause: { asked: "other", kind: /^peer-(silent|removed): / },
  inject: async (injection) => {
    injection.began(await injection.lab.kill(injection.node));
    await injection.wait(REST_MS);
    await injection.lab.start(injection.node);
    injection.ended();
  },
};

const spareNothing = (): boolean => false;

/** What is not the product's, and would go on when everything of ours stands still. */
function isNotOurs(process: HostProcess): boolean {
  return isManagedService(process) || isHypervisor(process);
}

function freeze(title: string, durationMs: number, spared = isNotOurs): Draft {
  return {
    title,
    samplesPerLab: 4,
    reach: [NO_STALE_ANSWER],
    expectedCause: { asked: "struck", kind: /^processes-frozen: / },
    inject: async (injection) => {
      const { lab, node } = injection;
      injection.began();
      await lab.freeze(node, spared);
      const stoppedMs = Date.now();
      injection.values["freezing_ms"] = stoppedMs - injection.fromMs;
      await injection.wait(Math.max(0, durationMs - (stoppedMs - injection.fromMs)));
      await lab.thaw(node);
      injection.ended();
      injection.askedMs = injection.toMs;
      injection.values["frozen_ms"] = injection.toMs - injection.fromMs;
    },
  };
}

/** What a pause shorter than token/2 may do: nothing. */
function shortFreeze(title: string, durationMs: number, spared = isNotOurs): Draft {
  return {
    ...freeze(title, durationMs, spared),
    samplesPerLab: 10,
    group: "freeze-short",
    reach: [NO_STALE_ANSWER, NOT_A_GAP, GUESTS_GO_ON],
  };
}

export const KILLED = ["nats-server", ...SERVICES, "supervisor"] as const;

function kill(name: string): Draft {
  return {
    title: `kill -9 of ${name}`,
    samplesPerLab: 60,
    group: "kill",
    // A killed process comes back at once; what follows from its absence shows within two tokens.
    reach: [NOT_A_GAP, GUESTS_GO_ON],
    expectedCause: { asked: "struck", kind: new RegExp(`^(process-killed|supervisor_restarted): .*${name}`) },
    inject: async (injection) => {
      injection.began();
      await injection.lab.signalNamed(injection.node, name, "SIGKILL");
      injection.ended();
    },
  };
}

const killAll: Draft = {
  title: "kill -9 of all our processes at once",
  samplesPerLab: 4,
  reach: [NO_STALE_ANSWER],
  expectedCause: { asked: "struck", kind: /^process-killed: / },
  inject: async (injection) => {
    injection.began();
    await injection.lab.killAll(injection.node, isNotOurs);
    injection.ended();
  },
};

const BUS_AWAY_MS = 5000;

/** A program that ends at once lies over the server's, in this host alone. */
async function keepBusAway(injection: Injection): Promise<void> {
  const path = (await injection.shell("command -v nats-server")).stdout.trim();
  await injection.shell(`mount --bind /bin/false ${path}`);
  try {
    injection.began();
    await injection.lab.signalNamed(injection.node, "nats-server", "SIGKILL");
    await injection.wait(BUS_AWAY_MS);
  } finally {
    await injection.shell(`umount ${path}`);
  }
  injection.ended();
}

const busAway: Draft = {
  title: "nats-server killed and kept away for 5 s",
  samplesPerLab: 4,
  expectedCause: { asked: "struck", kind: /^(process-killed|bus-away): / },
  inject: keepBusAway,
};

export const HOST_FAULTS: readonly Fault[] = [
  ...onBoth("power-cut", powerCut),
  ...onBoth("freeze-400ms", shortFreeze("our processes stopped for 0.4 s", 400)),
  ...onBoth("freeze-500ms", shortFreeze("our processes stopped for 0.5 s", 500)),
  onMaster("freeze-service-500ms", shortFreeze("all stopped for 0.5 s, service too", 500, spareNothing)),
  ...onBoth("freeze-2s", freeze("our processes stopped for 2 s", 2000)),
  onMaster("freeze-service-2s", freeze("all stopped for 2 s, service too", 2000, spareNothing)),
  ...onBoth("freeze-10s", freeze("our processes stopped for 10 s", 10_000)),
  onMaster("freeze-service-10s", freeze("all stopped for 10 s, service too", 10_000, spareNothing)),
  ...KILLED.flatMap((name) => onBoth(`kill-${name}`, kill(name), "nothing")),
  ...onBoth("kill-all", killAll),
  ...onBoth("nats-away", busAway),
].map((fault) => (fault.group === "freeze-short" ? { ...fault, excuse: "nothing" } : fault));
