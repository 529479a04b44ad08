import { createInterface } from "node:readline/promises";
import { QuorateError } from "@quorate/contracts";
import type { Answer } from "@quorate/runtime";
import { findNode, parseConfiguration } from "../configuration-file.ts";
import type { Output, Shown } from "../output.ts";
import type { Places } from "../snapshot.ts";
import { withBus } from "./change.ts";

const ASK_LIMIT_MS = 1500;
/** The master asks all others whether they hear that host. */
const CONFIRM_LIMIT_MS = 5000;

/** Shows the words and answers what was typed. */
type Question = (words: string) => Promise<string>;

/** A person at a terminal. Throws QuorateError USAGE where there is none: silence is no consent. */
export function askOnTerminal(output: Output): Question {
  return async (words) => {
    if (!output.isTerminal || !process.stdin.isTTY) {
      throw new QuorateError(
        "USAGE",
        "Nobody is there who could be asked.",
        "Read what it means (quorate node confirm-off --help, and the manual), then add --yes.",
      );
    }
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    try {
      return await terminal.question(words);
    } finally {
      terminal.close();
    }
  };
}

function warning(id: number, address: string): string {
  return `You vouch for it that the host of node ${id} (${address}) is switched off: no power, not merely no network.
Machines of it that no gate holds are then started on other hosts. If the host runs on, each of them runs
twice, both copies write to the same disks, and their data is lost. Nothing in Quorate can see that from here.
Your word counts until that host is heard again or another node becomes master.
Type the node's id (${id}) if it is off: `;
}

/** An operator's word that a host is off; `ask` null: it was given beforehand. */
export async function confirmOff(places: Places, wanted: string, ask: Question | null): Promise<Shown> {
  return withBus(places, async (bus, { nodeId }) => {
    const { text } = await bus.request("config-distributor", "status", nodeId, {}, ASK_LIMIT_MS);
    const { id, addresses } = findNode(parseConfiguration(text, "running.conf").config, wanted);
    if (ask !== null && (await ask(warning(id, addresses[0] ?? "?"))).trim() !== String(id))
      throw new QuorateError("USAGE", "Not confirmed: nothing was done.", `Type ${id}, or add --yes.`);
    const { quorum } = await bus.request("quorum-evaluator", "status", nodeId, {}, ASK_LIMIT_MS);
    if (quorum.leader === null)
      throw new QuorateError("NOT_MASTER", "There is no master who could act on it.", "See: quorate status");
    const answer = await bus.request(
      "failover-actuator",
      "machine-confirm-off",
      quorum.leader,
      { node: id },
      CONFIRM_LIMIT_MS,
    );
    return confirmedShown(id, answer);
  });
}

function confirmedShown(
  node: number,
  { term, placed, left }: Extract<Answer<"failover-actuator", "machine-confirm-off">, { ok: true }>,
): Shown {
  const lines = [
    `Node ${node} is taken for off in term ${term}, on your word. Keep it off until its machines run elsewhere.`,
    ...placed.map(({ vm, to }) => `${vm}: starts on node ${to}`),
    ...left.map(({ vm, reason }) => `${vm}: waits on. ${reason.message}`),
  ];
  if (placed.length + left.length === 0) lines.push("No machine waited for that.");
  return { json: { node, term, placed, left }, text: `${lines.join("\n")}\n` };
}
