/** docs/decisions.md, made from the table of rules; generate.ts writes it, a test compares it. */
import { DECISION_RULES, type DecisionTable, SHARED_DECISIONS } from "./decision-rules.ts";

function table(rules: DecisionTable): string[] {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  return [
    "| code | weight | rule | otherwise |",
    "|---|---|---|---|",
    ...Object.keys(rules)
      .toSorted((left, right) => left.localeCompare(right))
      .map((code) => {
        const rule = rules[code];
        return `| \`${code}\` | ${rule?.weight ?? ""} | ${cell(rule?.rule ?? "")} | ${cell(rule?.otherwise ?? "")} |`;
      }),
    "",
  ];
}

/** docs/decisions.md: what each process may give as reason, the rule behind it, and what would have changed it. */
export function decisionsMarkdown(): string {
  const sections = Object.entries(DECISION_RULES).flatMap(([service, rules]) => [
    `## ${service}`,
    "",
    ...table(rules),
  ]);
  return [
    "# Decisions and their rules",
    "",
    "<!-- Generated from packages/contracts/src/decision-rules*.ts (`npm run generate` there); do not edit. -->",
    "",
    "Each decision of a node's processes carries a code. `quorate why` prints with it the rule that was applied and what",
    "would have led to another decision; `quorate log` prints the code in parentheses, an event has it as `reason`.",
    "*detail* says how something came about and is forgotten first; *notable* is what happened to this node or to a peer;",
    "*important* is who leads, who may answer, who is out, and what was changed by others.",
    "The invariants: INV-1 one node at most answers for the address; INV-2 one master at most, and a mastership that is",
    "over never comes back in its term; INV-4 nothing is started elsewhere before its old place is surely empty; INV-5 a",
    "committed configuration, and a view, is never lost or forked; INV-6 what was promised survives a crash; INV-7 who",
    "returns serves nothing before it has learnt the present term.",
    "",
    ...sections,
    "## Any process",
    "",
    ...table(SHARED_DECISIONS),
  ]
    .join("\n")
    .trimEnd()
    .concat("\n");
}
