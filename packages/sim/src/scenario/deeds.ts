import { assertNever, type NodeId } from "@quorate/contracts";
import { firstDocument, withDisarmed, withToken } from "../documents.ts";
import { applyFault } from "../faults.ts";
import type { Host } from "../host.ts";
import { type FaultKind, PROCESS_NAMES } from "../schedule.ts";
import type { World } from "../world.ts";
import type { ScriptStep } from "./script.ts";

const FAR_FUTURE = "2100-01-01T00:00:00Z";

type NodeWord = NodeId | "master" | "slave";

/** What a step does to the world, and how the log says it. */
export type Deed = {
  sentence: string;
  /** Null: done. Otherwise why there was nothing to strike. */
  strike(): string | null;
};

/** Who a script means at this instant; null when there is none. */
export function nodeNow(world: World, word: NodeWord): NodeId | null {
  if (typeof word === "number") return world.hosts.has(word) ? word : null;
  const hosts = [...world.hosts.values()];
  const holder = hosts.find((host) => host.answers)?.id ?? world.lastHolder;
  if (word === "master") return holder;
  return hosts.find((host) => host.up && host.id !== holder)?.id ?? null;
}

/** Reads a step against the world as it is now. Null: it names a node that there is not. */
export function deedOf(world: World, step: ScriptStep): Deed | null {
  const now = (word: NodeWord) => nodeNow(world, word);
  const isAll = "node" in step && step.node === "all";
  const word = "node" in step && step.node !== undefined && step.node !== "all" ? step.node : null;
  const id = word === null ? 0 : now(word);
  if (id === null && step.do !== "add-node") return null;
  const node = id ?? 0;
  const name = isAll ? "every node" : nameOf(world, word, node);
  const fault = (sentence: string, kind: FaultKind): Deed => ({
    sentence,
    strike: () =>
      applyFault(world, { atUs: world.nowUs, ...kind })
        ? null
        : "there was nothing to strike, or nobody to ask",
  });
  switch (step.do) {
    case "power-cut": {
      const downUs = step.for;
      if (!isAll)
        return fault(`The power of ${name} is cut for ${said(downUs)}.`, { kind: "power-cut", node, downUs });
      const sentence = `The power of the whole site is cut for ${said(downUs)}.`;
      return onEvery(world, sentence, (each) => ({ kind: "power-cut", node: each, downUs }));
    }
    case "crash":
      return fault(
        `${processesOf(step.process)} of ${name} killed (SIGKILL), and started again after ${said(step.for)}.`,
        { kind: "crash", node, process: step.process, downUs: step.for },
      );
    case "pause":
      return fault(`${processesOf(step.process)} of ${name} frozen (SIGSTOP) for ${said(step.for)}.`, {
        kind: "pause",
        node,
        process: step.process,
        forUs: step.for,
      });
    case "slow":
      return fault(
        `${processesOf(step.process)} of ${name} slow for ${said(step.for)}: ${said(step.each)} more for each input.`,
        { kind: "slow", node, process: step.process, eachUs: step.each, forUs: step.for },
      );
    case "trap": {
      const { process, strike, side, effect } = step;
      const deed = strike === "crash" ? "killed" : `frozen for ${said(step.for)}`;
      return fault(`The ${process} of ${name} will be ${deed} ${side} its next "${effect}".`, {
        kind: "trap",
        node,
        process,
        point: { effect, side, skip: 0 },
        strike,
        forUs: step.for,
      });
    }
    case "suspend-host":
      return fault(`The kernel of ${name} is suspended for ${said(step.for)}.`, {
        kind: "suspend-host",
        node,
        forUs: step.for,
      });
    case "cut": {
      const { direction, rings } = step;
      const peers = step.peers?.flatMap((peer) => now(peer) ?? []) ?? "all";
      const whom = peers === "all" ? "everybody" : listOf(peers);
      const way = {
        both: `between ${name} and ${whom}`,
        in: `to ${name} from ${whom}`,
        out: `from ${name} to ${whom}`,
      };
      const where = rings === undefined ? "" : ` on ring ${rings.join(", ")}`;
      return fault(`Nothing passes ${way[direction]}${where} for ${said(step.for)}.`, {
        kind: "cut",
        node,
        direction,
        peers,
        forUs: step.for,
        ...(rings === undefined ? {} : { rings }),
      });
    }
    case "partition": {
      const side = step.side.flatMap((each) => now(each) ?? []);
      return fault(`Nothing passes between ${listOf(side)} and the others for ${said(step.for)}.`, {
        kind: "partition",
        side,
        forUs: step.for,
      });
    }
    case "switch-down":
      return fault(`The switch is down for everybody for ${said(step.for)}.`, {
        kind: "switch-down",
        forUs: step.for,
      });
    case "loss": {
      const where = word === null ? "everywhere" : `to and from ${name}`;
      return fault(`${Math.round(step.rate * 100)} % of datagrams are lost ${where} for ${said(step.for)}.`, {
        kind: "loss",
        rate: step.rate,
        forUs: step.for,
        ...(word === null ? {} : { node }),
      });
    }
    case "network-delay": {
      const where = word === null ? "everywhere" : `to and from ${name}`;
      return fault(`Datagrams take up to ${said(step.upTo)} more ${where} for ${said(step.for)}.`, {
        kind: "network-delay",
        upToUs: step.upTo,
        forUs: step.for,
        ...(word === null ? {} : { node }),
      });
    }
    case "replay":
      return {
        sentence: `${step.count} recorded datagrams of ${name} are sent again to everybody.`,
        strike: () => {
          // Whoever recorded them does not need the sender to be up.
          world.network.replay(node, step.count);
          return null;
        },
      };
    case "routes-down":
      return blockRoutes(world, node, name, step.for);
    case "bus-loss":
      return fault(`The nats-server of ${name} is killed and does not start for ${said(step.for)}.`, {
        kind: "bus-loss",
        node,
        downUs: step.for,
      });
    case "bus-slow":
      return fault(`Local messages of ${name} take up to ${said(step.upTo)} for ${said(step.for)}.`, {
        kind: "bus-slow",
        node,
        upToUs: step.upTo,
        forUs: step.for,
      });
    case "disk-full":
      return fault(`The disk of ${name} is full for ${said(step.for)}.`, {
        kind: "disk-full",
        node,
        forUs: step.for,
      });
    case "lose-state":
      return loseState(world, step, node, name);
    case "kernel-slow":
      return fault(
        `The kernel of ${name} takes up to ${said(step.upTo)} for a command, for ${said(step.for)}.`,
        {
          kind: "kernel-slow",
          node,
          upToUs: step.upTo,
          forUs: step.for,
        },
      );
    case "flush-ruleset":
      return fault(`Somebody flushes the nftables ruleset of ${name}.`, { kind: "flush-ruleset", node });
    case "remove-address":
      return fault(`Somebody removes the cluster address on ${name}.`, { kind: "remove-address", node });
    case "foreign-claim":
      return fault(`A foreign machine claims the cluster address for ${said(step.for)}.`, {
        kind: "foreign-claim",
        forUs: step.for,
      });
    case "no-carrier":
      return fault(`The cable of ${name} is pulled for ${said(step.for)}.`, {
        kind: "no-carrier",
        node,
        forUs: step.for,
      });
    case "vm-move":
      return fault(`Operator: moves ${step.vm} live to node ${node}.`, {
        kind: "vm-move",
        vm: step.vm,
        to: node,
      });
    case "vm-end":
      return fault(`The guest of ${step.vm} ends.`, { kind: "vm-end", vm: step.vm });
    case "storage-gone":
      return fault(`${isAll ? "No node" : `${name} no longer`} reaches the storage for ${said(step.for)}.`, {
        kind: "storage-gone",
        node: isAll ? "all" : node,
        forUs: step.for,
      });
    case "service-crash":
      return fault(`The managed service of ${name} ends.`, { kind: "service-crash", node });
    case "service-broken":
      return fault(`The managed service cannot be started on ${name} for ${said(step.for)}.`, {
        kind: "service-broken",
        node,
        forUs: step.for,
      });
    case "wall-step":
      return fault(`The wall clock of ${name} is stepped by ${step.bySeconds} s.`, {
        kind: "wall-step",
        node,
        byMs: step.bySeconds * 1000,
      });
    case "move":
      return fault(`Operator: quorate move ${node}`, { kind: "move", target: node });
    case "drain":
      return fault(
        `Operator: stops Quorate on ${name} in good order, and starts it ${said(step.for)} later.`,
        {
          kind: "drain",
          node,
          downUs: step.for,
        },
      );
    case "set-prio":
      return fault(`Operator: prio of ${name} becomes ${step.prio}.`, {
        kind: "set-prio",
        node,
        prio: step.prio,
      });
    case "set-votes":
      return fault(`Operator: ${name} gets ${step.votes} votes.`, {
        kind: "set-votes",
        node,
        votes: step.votes,
      });
    case "set-token":
      return change(world, `Operator: the token becomes ${step.token / 1000} ms.`, (text) =>
        withToken(text, step.token / 1000),
      );
    case "disarm":
      return change(world, "Operator: quorate disarm", (text) => withDisarmed(text, FAR_FUTURE));
    case "arm":
      return change(world, "Operator: quorate arm", (text) => withDisarmed(text, null));
    case "add-node":
      return fault(`Operator: puts a new host, node ${step.node} with prio ${step.prio}, on the list.`, {
        kind: "add-node",
        node: step.node,
        prio: step.prio,
      });
    case "remove-node":
      return fault(`Operator: switches ${name} off and takes it off the list.`, {
        kind: "remove-node",
        node,
      });
    default:
      return assertNever(step);
  }
}

function nameOf(world: World, word: NodeWord | null, node: NodeId): string {
  const isMaster = word === "master" || world.hosts.get(node)?.answers === true;
  return `node ${node}${isMaster ? " (the master)" : ""}`;
}

function listOf(nodes: readonly NodeId[]): string {
  return nodes.length === 1 ? `node ${nodes[0]}` : `nodes ${nodes.join(" ")}`;
}

function processesOf(process: string): string {
  return process === "all" ? "All four processes" : `The ${process}`;
}

/** 1500000 as "1.5 s". */
export function said(us: number): string {
  if (us >= 60_000_000 && us % 60_000_000 === 0) return `${us / 60_000_000} min`;
  return us >= 1_000_000 ? `${us / 1_000_000} s` : `${us / 1000} ms`;
}

function onEvery(world: World, sentence: string, kindOf: (node: NodeId) => FaultKind): Deed {
  return {
    sentence,
    strike: () => {
      const struck = [...world.hosts.keys()].filter((each) =>
        applyFault(world, { atUs: world.nowUs, ...kindOf(each) }),
      );
      return struck.length > 0 ? null : "every node was off";
    },
  };
}

/** Heartbeats pass, the bus between the nodes does not. */
function blockRoutes(world: World, node: NodeId, name: string, forUs: number): Deed {
  return {
    sentence: `No nats-server of another node reaches that of ${name} for ${said(forUs)}; heartbeats pass.`,
    strike: () => {
      world.routes.blocked.add(node);
      world.routes.look();
      world.at(world.nowUs + forUs, () => {
        world.routes.blocked.delete(node);
        world.routes.look();
      });
      return null;
    },
  };
}

/** As of the schedule, but it leaves it to the script how many nodes remember. */
function loseState(
  world: World,
  { what, for: downUs }: Extract<ScriptStep, { do: "lose-state" }>,
  node: NodeId,
  name: string,
): Deed {
  const lost = {
    evaluator: "its vote, its view and its promises",
    register: "the newer configuration: it is back to the first one, as from a backup",
    incarnation: "the number of its heartbeats' incarnation",
  }[what];
  return {
    sentence: `The state folder of ${name} loses ${lost}.`,
    strike: () => {
      const host = world.hosts.get(node);
      if (host === undefined || !host.up) return "the node is off";
      const readers = what === "incarnation" ? (["membership"] as const) : PROCESS_NAMES.slice(1);
      for (const reader of readers) {
        if (reader === "actuator" || (reader === "distributor" && what === "evaluator")) continue;
        host.process(reader).kill();
        host.startLater(reader, downUs);
      }
      if (what === "incarnation") host.disk.incarnation = null;
      else if (what === "evaluator") host.disk.evaluator = null;
      else host.disk.document = firstDocument(host.firstText);
      return null;
    },
  };
}

function change(world: World, sentence: string, edit: (text: string) => string): Deed {
  return {
    sentence,
    strike: () => {
      const via = [...world.hosts.values()].find((host: Host) => host.up && host.distributor.running);
      if (via === undefined) return "nobody is up who could be asked";
      world.operator.change(via, edit);
      return null;
    },
  };
}
