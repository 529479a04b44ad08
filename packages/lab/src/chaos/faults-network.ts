/** Faults of cables and of the switch, and of who else is plugged in. */
import { inNamespaces, tryCommand } from "../command.ts";
import { readStatus } from "../converged.ts";
import { holdNetwork, ipBatch } from "../switch.ts";
import { type Draft, onAll, onBoth } from "./draft.ts";
import type { ExpectedCause, Fault } from "./fault.ts";
import { NOT_A_GAP } from "./faults-host.ts";
import type { Injection } from "./injection.ts";

const CUT_MS = 4000;

/** A fault of the network that lasts a while and is healed. */
function lasting(
  title: string,
  expectedCause: ExpectedCause,
  begin: (injection: Injection) => Promise<void>,
  durationMs = CUT_MS,
): Draft {
  return {
    title,
    samplesPerLab: 4,
    expectedCause,
    inject: async (injection) => {
      injection.began();
      await begin(injection);
      await injection.wait(durationMs);
      await injection.lab.heal();
      injection.ended();
    },
  };
}

const linkCut = lasting("link cut, no carrier", { asked: "struck", kind: /^no-carrier: / }, ({ lab, node }) =>
  lab.cut(node),
);

const partition = lasting("silent partition", { asked: "struck", kind: /^cut-off: / }, ({ lab, node }) =>
  lab.partition([node]),
);

const oneWayOut = lasting(
  "one-way cut: the others do not hear it",
  { asked: "struck", kind: /^one-way: / },
  async (one) => {
    for (const other of one.others) await one.lab.oneway(one.node, other);
  },
);

const oneWayIn = lasting(
  "one-way cut: it does not hear the others",
  { asked: "other", kind: /^one-way: / },
  async (one) => {
    for (const other of one.others) await one.lab.oneway(other, one.node);
  },
);

const LOSS_MS = 60_000;

function loss(percent: number): Draft {
  return {
    title: `${percent} % loss on every host for 60 s`,
    n: 3,
    samplesPerLab: 12,
    group: "loss",
    reach: percent <= 30 ? [NOT_A_GAP] : [],
    expectedCause: null,
    inject: async (injection) => {
      injection.began();
      for (const id of injection.bench.ids) await injection.lab.loss(id, percent);
      await injection.wait(LOSS_MS);
      await injection.lab.heal();
      injection.ended();
    },
  };
}

/** By then every lease has lapsed and everybody has said so. */
const ALL_SUSPENDED_AFTER_MS = 3000;

function switchDown(durationMs: number): Draft {
  return {
    title: `switch down for everybody for ${durationMs / 1000} s`,
    n: durationMs > 30_000 ? 3 : 10,
    reach: [
      { value: "not_suspended", limit: 0 },
      { value: "processes_lost", limit: 0 },
      { value: "back_ms", limit: 2000 },
    ],
    expectedCause: { asked: "struck", kind: /^cut-off: / },
    inject: async (injection) => {
      const { lab, bench } = injection;
      const processes = () => JSON.stringify(lab.status().hosts.map(({ services }) => services));
      const before = processes();
      injection.began();
      await lab.setSwitch(false);
      await injection.wait(ALL_SUSPENDED_AFTER_MS);
      const statuses = await Promise.all(bench.ids.map((id) => readStatus(lab, id)));
      const roles = statuses.map((status) => status?.role ?? "silent");
      injection.details.push(`roles while the switch was down: ${roles.join(" ")}`);
      injection.values["not_suspended"] = roles.filter((role) => role !== "suspended").length;
      await injection.wait(Math.max(0, durationMs - (Date.now() - injection.fromMs)));
      await lab.setSwitch(true);
      injection.ended();
      injection.values["processes_lost"] = processes() === before ? 0 : 1;
    },
  };
}

const CLAIM_MS = 5000;

/** A machine that is not ours takes the cluster address: it has it, announces it and answers for it. */
const foreignClaim: Draft = {
  title: "a foreign machine claims the VIP for 5 s",
  expectedCause: { asked: "struck", kind: /^foreign-claim: / },
  inject: async (injection) => {
    const { lab } = injection;
    const [vip = ""] = lab.record().vips;
    const machine = await holdNetwork(lab.place.runDir);
    const switchPid = lab.switchPid();
    try {
      await ipBatch(switchPid, [
        `link add foreign type veth peer name eth0 address 02:ff:00:00:00:66 netns ${machine.pid}`,
        "link set foreign master br0 up",
      ]);
      await ipBatch(machine.pid, ["link set lo up", "link set eth0 up"]);
      injection.began();
      await ipBatch(machine.pid, [`address add ${vip}/24 dev eth0`]);
      const announce = ["arping", "-q", "-U", "-c", "5", "-I", "eth0", "-s", vip, vip];
      await tryCommand(inNamespaces(machine.pid, "network", announce));
      await injection.wait(Math.max(0, CLAIM_MS - (Date.now() - injection.fromMs)));
    } finally {
      await tryCommand(inNamespaces(switchPid, "network", ["ip", "link", "delete", "foreign"]));
      process.kill(machine.pid, "SIGKILL");
    }
    injection.ended();
  },
};

export const NETWORK_FAULTS: readonly Fault[] = [
  ...onBoth("link-cut", linkCut),
  ...onBoth("partition", partition),
  ...onBoth("one-way-out", oneWayOut),
  ...onBoth("one-way-in", oneWayIn),
  ...[10, 20, 30, 40].map((percent) =>
    onAll(`loss-${percent}`, loss(percent), percent <= 30 ? "nothing" : "anything"),
  ),
  onAll("switch-5s", switchDown(5000), "failover"),
  onAll("switch-60s", switchDown(60_000), "failover"),
  onAll("foreign-claim", foreignClaim, "nothing"),
];
