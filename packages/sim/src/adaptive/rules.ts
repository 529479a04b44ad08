import type { Edit } from "../mutations/mutation.ts";
import { Random } from "../random.ts";
import { type FaultAction, QUIET, type Schedule } from "../schedule.ts";

/** A rule that adapts to what is going on, the edits that take it away, and the weather in which it should help. */
export type AdaptiveRule = {
  readonly name: string;
  readonly rule: string;
  readonly off: readonly Edit[];
  readonly weather: string;
  readonly schedule: (seed: number, tokenUs: number, faultUs: number) => Schedule;
};

const VIEW = "packages/core-quorum/src/view.ts";

/** In none of these does anybody die: whatever is removed or elected after the beginning is a false alarm. */
export const ADAPTIVE_RULES: readonly AdaptiveRule[] = [
  {
    name: "own lateness",
    rule: "A node whose own loop was late does not accuse others.",
    off: [
      {
        file: "packages/core-membership/src/own-health.ts",
        find: "const lateUs = excessUs > timing.tickUs ? excessUs : 0;",
        replace: "const lateUs = excessUs > timing.tickUs ? 0 : 0;",
      },
      {
        file: VIEW,
        find: "const patientUs = tokenUs * state.patience;",
        replace: "const patientUs = tokenUs;",
      },
    ],
    weather: "15 % loss; every 1.5 T the membership of some node is stopped for 0.3 to 0.9 T",
    schedule(seed, tokenUs, faultUs) {
      const random = Random.forked(seed, "adaptive lateness");
      const actions: FaultAction[] = [];
      for (let atUs = 5 * tokenUs; atUs < faultUs; atUs += 1.5 * tokenUs) {
        const forUs = random.between(0.3 * tokenUs, 0.9 * tokenUs);
        actions.push({ atUs, kind: "pause", node: random.between(1, 3), process: "membership", forUs });
      }
      return { noise: { ...QUIET, loss: 0.15 }, actions };
    },
  },
  {
    name: "lossy link",
    rule: "Heartbeats are doubled while something is lost.",
    off: [
      {
        file: "packages/core-quorum/src/pace.ts",
        find: "const calm = nowUs >= state.restlessUntilUs && isSettled(state, nowUs);",
        replace: "const calm = isSettled(state, nowUs);",
      },
    ],
    weather: "40 % loss on every link",
    schedule: () => ({ noise: { ...QUIET, loss: 0.4 }, actions: [] }),
  },
  {
    name: "quarantine",
    rule: "A flapping node is quarantined, for twice as long each time.",
    off: [
      {
        file: VIEW,
        find: "return tokenUs * 2 ** Math.min(flap.count - 1, MAX_FLAP_DOUBLINGS);",
        replace: "return tokenUs;",
      },
    ],
    weather: "one slave is cut off for 1.3 T every 4 T",
    schedule(_seed, tokenUs, faultUs) {
      const actions: FaultAction[] = [];
      for (let atUs = 5 * tokenUs; atUs < faultUs; atUs += 4 * tokenUs) {
        const forUs = Math.round(1.3 * tokenUs);
        actions.push({ atUs, kind: "cut", node: "slave:a", direction: "both", peers: "all", forUs });
      }
      return { noise: QUIET, actions };
    },
  },
];

/** Transitions that nobody's death explains, by the code that the trace has. */
export const FALSE_ALARMS = ["NODE_SILENT", "NODE_ONE_WAY", "MASTERSHIP_OVER"] as const;
