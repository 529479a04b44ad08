import { type NodeId, printable, QuorateError, type Reason, type VmMove } from "@quorate/contracts";
import type { Answer, Bus } from "@quorate/runtime";
import { findNode, parseConfiguration } from "../configuration-file.ts";
import { readDefinitionFile, refuseTooLarge, whereItIs } from "../definition-file.ts";
import { domainTable } from "../domain-lines.ts";
import {
  type KnownMachines,
  machineLines,
  type MachineLine,
  machineTable,
  proofNeeded,
  relocatable,
  type Wish,
} from "../machine-lines.ts";
import type { Shown } from "../output.ts";
import type { Places } from "../snapshot.ts";
import { withBus } from "./change.ts";

const ASK_LIMIT_MS = 1500;
/** A definition is checked, the gate is loaded, and autostart switched off. */
const DEFINE_LIMIT_MS = 15_000;
/** A live move copies the machine's memory over the network. */
const MOVE_LIMIT_MS = 600_000;
/** The master drops what it could not begin in two tokens. */
const MOVE_BEGINS_MS = 15_000;
const LOOK_AGAIN_MS = 250;

async function ask(bus: Bus, node: NodeId): Promise<KnownMachines> {
  return await bus.request("failover-actuator", "machines", node, {}, ASK_LIMIT_MS);
}

/** What this node knows, with the master's decisions where there is one who can be asked. */
export async function lookAround(
  bus: Bus,
  nodeId: NodeId,
): Promise<{ own: KnownMachines; master: KnownMachines | null }> {
  const own = await ask(bus, nodeId);
  const { quorum } = await bus.request("quorum-evaluator", "status", nodeId, {}, ASK_LIMIT_MS);
  if (quorum.leader === null) return { own, master: null };
  if (quorum.leader === nodeId) return { own, master: own };
  try {
    return { own, master: await ask(bus, quorum.leader) };
  } catch (error) {
    if (error instanceof QuorateError) return { own, master: null };
    throw error;
  }
}

export async function listMachines(places: Places): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const { own, master } = await lookAround(bus, nodeId);
    const lines = machineLines(own, master);
    const unknown = master === null ? "No master is known: who owns what is as the nodes last said.\n" : "";
    return { json: { machines: lines, masterKnown: master !== null }, text: machineTable(lines) + unknown };
  });
}

export async function showMachine(places: Places, vm: string): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const { own, master } = await lookAround(bus, nodeId);
    const line = lineOf(machineLines(own, master), vm);
    const copies = (master ?? own).reports.flatMap(({ node, copies: all }) =>
      all.filter((copy) => copy.vm === vm).map((copy) => ({ node, ...copy })),
    );
    const rows: [string, string][] = [
      ["name", line.vm],
      ["node", line.node === null ? "nobody's" : String(line.node)],
      ["state", line.state],
      ["wanted", line.wanted],
      ["priority", String(line.prio)],
      ["memory", `${line.memoryMib} MiB`],
      ["vcpus", String(line.vcpus)],
      ["relocatable", relocatable(line)],
      ...[...line.obstacles, proofNeeded(line) ?? []].flat().map((text): [string, string] => ["", text]),
      ...(line.movingTo === null ? [] : [["moving to", String(line.movingTo)] as [string, string]]),
      ...(line.blocked === null ? [] : [["waits", line.blocked] as [string, string]]),
      ...line.troubles.map((trouble): [string, string] => ["trouble", trouble]),
      ...copies.map(({ node, state, placement }): [string, string] => [
        "copy",
        `on node ${node}, ${state}, placement ${placement === null ? "unknown" : `${placement.term}.${placement.number}`}`,
      ]),
    ];
    const width = Math.max(...rows.map(([name]) => name.length));
    return {
      json: { ...line, copies },
      text: rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join(""),
    };
  });
}

function lineOf(lines: readonly MachineLine[], vm: string): MachineLine {
  const line = lines.find((each) => each.vm === vm);
  if (line !== undefined) return line;
  throw new QuorateError("MACHINE_UNKNOWN", `No machine ${vm} is under care.`, "See: quorate vm list");
}

export interface DefineOptions {
  readonly prio?: number;
  readonly stopped?: boolean;
  readonly node?: string;
  readonly domain?: string;
}

/**
 * Takes a machine under care on this node, or on the one named; one that is known gets the new definition there. The
 * file is this host's; `domain` is one that the node's libvirt knows.
 */
export async function defineMachine(
  places: Places,
  file: string | undefined,
  options: DefineOptions,
): Promise<Shown> {
  if ((file === undefined) === (options.domain === undefined)) {
    const hint = "Write: quorate vm define FILE, or: quorate vm define --domain NAME";
    throw new QuorateError("USAGE", "Either a file or a domain that libvirt knows is to be named.", hint);
  }
  const read = file === undefined ? null : readDefinitionFile(file);
  return withBus(places, async (bus, { nodeId }) => {
    const node = options.node === undefined ? nodeId : await nodeNamed(bus, nodeId, options.node);
    const xml = read ?? (await definitionOfDomain(bus, node, options.domain ?? ""));
    const body = {
      xml,
      prio: options.prio ?? null,
      wanted: options.stopped === true ? ("stopped" as const) : null,
    };
    const { vm, obstacles } = await whereItIs(
      file ?? `the definition of ${options.domain ?? "?"}`,
      bus.request("failover-actuator", "machine-define", node, body, DEFINE_LIMIT_MS),
    );
    const warnings = obstacles.map((obstacle) => `  not relocatable by lease: ${obstacle}\n`).join("");
    return { json: { vm, node, obstacles }, text: `${vm} is under care on node ${node}.\n${warnings}` };
  });
}

async function definitionOfDomain(bus: Bus, node: NodeId, name: string): Promise<string> {
  const { domains } = await bus.request("failover-actuator", "machine-discover", node, {}, DEFINE_LIMIT_MS);
  const domain = domains.find((each) => each.name === name);
  if (domain !== undefined) {
    refuseTooLarge(`The definition of ${name}`, Buffer.byteLength(domain.xml));
    return domain.xml;
  }
  throw new QuorateError(
    "MACHINE_UNKNOWN",
    `Libvirt of node ${node} knows no domain ${name} that is not under care.`,
    "See: quorate vm discover, quorate vm list",
  );
}

/** What libvirt knows on this node, or on the one named, and nobody has taken under care. */
export async function discoverMachines(places: Places, wanted: string | undefined): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const node = wanted === undefined ? nodeId : await nodeNamed(bus, nodeId, wanted);
    const { domains } = await bus.request("failover-actuator", "machine-discover", node, {}, DEFINE_LIMIT_MS);
    const json = { node, domains: domains.map(({ xml: _xml, ...domain }) => domain) };
    return { json, text: printable(domainTable(node, domains)) };
  });
}

async function nodeNamed(bus: Bus, nodeId: NodeId, wanted: string): Promise<NodeId> {
  const { text } = await bus.request("config-distributor", "status", nodeId, {}, ASK_LIMIT_MS);
  return findNode(parseConfiguration(text, "running.conf").config, wanted).id;
}

/** Other wishes for a machine, at its owner. */
export async function wishMachine(
  places: Places,
  vm: string,
  wish: { wanted?: Wish; prio?: number; move?: VmMove },
): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const { own, master } = await lookAround(bus, nodeId);
    const { node: owner, keeper: node } = lineOf(machineLines(own, master), vm);
    if (owner !== null && owner !== node) {
      throw new QuorateError(
        "MACHINE_BUSY",
        `${vm} is on its way from node ${node} to node ${owner}.`,
        "It is being placed: try again in a moment; see quorate vm show.",
      );
    }
    const body = { vm, wanted: wish.wanted ?? null, prio: wish.prio ?? null, move: wish.move ?? null };
    await bus.request("failover-actuator", "machine-wish", node, body, ASK_LIMIT_MS);
    const said = [
      ...(wish.wanted === undefined ? [] : [`is to be ${wish.wanted}`]),
      ...(wish.prio === undefined ? [] : [`has the priority ${wish.prio}`]),
      ...(wish.move === "live" ? ["is moved live"] : []),
      ...(wish.move === "restart" ? ["is shut down and started anew where others are moved live"] : []),
      ...(wish.move === "live-or-restart"
        ? ["is moved live, and by a restart where that is broken off"]
        : []),
    ];
    return { json: { vm, node, ...wish }, text: `${vm} on node ${node} ${said.join(", ")}.\n` };
  });
}

/** Moves a machine as its policy says, and waits until it is there or the move is broken off. */
export async function moveMachine(
  places: Places,
  vm: string,
  wanted: string,
  progress: (text: string) => void,
): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const to = await nodeNamed(bus, nodeId, wanted);
    const began = performance.now();
    const { quorum } = await bus.request("quorum-evaluator", "status", nodeId, {}, ASK_LIMIT_MS);
    if (quorum.leader === null)
      throw new QuorateError("NOT_MASTER", "There is no master who could move it.", "See: quorate status");
    await bus.request("failover-actuator", "machine-move", quorum.leader, { vm, to }, ASK_LIMIT_MS);
    let told = "";
    let begun = false;
    while (performance.now() - began < MOVE_LIMIT_MS) {
      const { own, master } = await lookAround(bus, nodeId);
      const line = lineOf(machineLines(own, master), vm);
      const tookMs = Math.round(performance.now() - began);
      const refused = master?.refusedMoves?.find((each) => each.vm === vm && each.to === to);
      if (refused !== undefined && line.movingTo === null) {
        throw new QuorateError(
          "MIGRATION_REFUSED",
          `${vm} stays on node ${line.node ?? "?"} and is not moved to node ${to}: ${refused.why}.`,
          `See: quorate vm show ${vm}`,
        );
      }
      if (line.node === to && line.movingTo === null && line.state === "running")
        return { json: { vm, node: to, tookMs }, text: `${vm} runs on node ${to}; it took ${tookMs} ms.\n` };
      const waits = line.blocked === null ? "" : `; ${line.blocked}`;
      if (line.movingTo !== null) begun = true;
      else if (waits === "" && !begun && tookMs > MOVE_BEGINS_MS) {
        throw new QuorateError(
          "MIGRATION_REFUSED",
          `${vm} stays on node ${line.node ?? "?"}: the move did not begin.`,
          `Why: quorate log on the master (node ${quorum.leader}); quorate vm show ${vm}`,
        );
      } else if (begun && line.node !== null && line.node !== to && line.state === "running") {
        throw new QuorateError(
          "MIGRATION_REFUSED",
          `${vm} stays on node ${line.node}: the move was broken off.`,
          `Why: quorate why ${vm}, on the master (node ${quorum.leader}).`,
        );
      }
      const now = `${line.state}${line.movingTo === null ? "" : `, moving to node ${line.movingTo}`}${waits}`;
      if (now !== told) progress(`${vm}: ${now}\n`);
      told = now;
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
    throw new QuorateError(
      "REQUEST_TIMEOUT",
      `${vm} is not on node ${to} yet.`,
      `See: quorate vm show ${vm}`,
    );
  });
}

/** `node 4 down`. Throws QuorateError USAGE. */
function downNode(text: string): string {
  const match = /^node (\S+) down$/.exec(text.trim());
  if (match?.[1] !== undefined) return match[1];
  throw new QuorateError("USAGE", `"${text}" is no supposition.`, 'Write: quorate plan --if "node 4 down"');
}

/** What would happen to machines, from the live state, by the code that would do it. */
export async function planMachines(places: Places, suppositions: readonly string[]): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const down: NodeId[] = [];
    for (const text of suppositions) {
      const node = await nodeNamed(bus, nodeId, downNode(text));
      if (!down.includes(node)) down.push(node);
    }
    const { quorum } = await bus.request("quorum-evaluator", "status", nodeId, {}, ASK_LIMIT_MS);
    if (quorum.leader === null)
      throw new QuorateError(
        "NOT_MASTER",
        "There is no master whose plan it would be.",
        "See: quorate status",
      );
    const answer = await bus.request(
      "failover-actuator",
      "machine-plan",
      quorum.leader,
      { down },
      ASK_LIMIT_MS,
    );
    return planShown(down, answer);
  });
}

function planShown(
  down: readonly NodeId[],
  {
    placed,
    left,
    unreachable,
    orderedWithinMs,
  }: Extract<Answer<"failover-actuator", "machine-plan">, { ok: true }>,
): Shown {
  const lines = [
    ...placed.map(({ vm, from, to }) => `${vm}: from node ${from ?? "none"} to node ${to}`),
    ...left.map(
      ({ vm, reason }) => `${vm}: would ${wouldWait(reason) ? "wait" : "not run"}. ${reason.message}`,
    ),
  ];
  const head =
    lines.length === 0
      ? `Without ${nodes(down)} no machine would have to move.`
      : `Without ${nodes(down)}, starts ordered within ${orderedWithinMs} ms of the death:`;
  const notes = unreachable.map(
    ({ node, storage }) =>
      `Storage ${storage} does not answer node ${node}: nothing that needs it goes there.`,
  );
  return {
    json: { down, placed, left, unreachable, orderedWithinMs },
    text: `${[head, ...lines, ...notes].join("\n")}\n`,
  };
}

/** For a proof that its host is off, which a device or a person can give. */
function wouldWait({ code }: Reason): boolean {
  return code === "VM_NEEDS_HUMAN" || code === "VM_WAITS_FOR_DEVICE" || code === "VM_WAITS_FOR_RESET";
}

function nodes(ids: readonly NodeId[]): string {
  return `node${ids.length === 1 ? "" : "s"} ${ids.join(" and ")}`;
}
