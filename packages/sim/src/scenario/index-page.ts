import { readScenario, SCENARIOS_FOLDER, scenarioNames } from "./folder.ts";
import { STEP_NAMES } from "./script.ts";

/** The page that lists all scenarios: packages/sim/scenarios/README.md. */
export function indexPage(folder = SCENARIOS_FOLDER): string {
  const names = scenarioNames(folder);
  const rows = names.map(
    (name) => `| [${name}](${name}/README.md) | ${readScenario(name, folder).script.description} |`,
  );
  return `${[HEAD, rows.join("\n"), "", FOOT].join("\n")}\n`;
}

const HEAD = `# Scenarios: what happens when …

Each folder is one story that the real cores live through in the simulator (packages/sim): a cluster, what is done to it,
and the log that follows, to the hundredth of a second. The logs are checked by \`packages/sim/test/scenarios.test.ts\`,
together with INV-1 to INV-7 at every instant, and that the cluster settles when everything is mended.

Read a folder's README.md first, then its log.expect. \`quorate sim --scenario NAME --trace\` tells the same story with
every word that was said; \`quorate sim --list\` lists them. After a change of the cores: \`npm run sim:scenarios --
--rewrite\`, and review the diff: each changed line is a changed behaviour.

| scenario | what is done |
|---|---|`;

const FOOT = `## Reading a log

Seconds since the cluster was up and at rest; who; what. \`>>\` is what the script does, \`address\` is what somebody outside
sees, \`cluster\` the state at the beginning and the end. A node's lines are its reasons, code and sentence as in
\`quorate log\`. What several nodes say alike at the same moment is one line; what every take-over says (announcements,
files) is left out.

## Writing one

\`cluster.conf\` is a corosync.conf for three to nine nodes. \`script.json\`:

| field | what |
|---|---|
| \`seed\` | of clocks' rates, delays, boot times |
| \`description\` | one sentence, for this index |
| \`steps\` | in order; each has \`do\` and either \`at\` ("1.5s") or \`after\` (a reason's code, with \`by\`: a node's id, \`later\`: a duration) |
| \`until\` | the end of the log; what is still broken then is mended, and the cluster has to settle |
| \`show\` | codes that logs leave out and that are the point here |
| \`machines\` | how many virtual machines there are, on shared storage |
| \`noise\` | fractions of messages that are always lost, doubled, late: \`loss\`, \`duplicate\`, \`late\`, \`replay\`, \`busLate\` |
| \`hole\` | the invariant that a known hole breaks: the run must break exactly that one |

\`after\` strikes when the word is said, before what was decided leaves the process. \`node\` is an id, \`master\` (who answers
for the address then) or \`slave\` (the lowest other). \`do\` is one of: ${STEP_NAMES.map((name) => `\`${name}\``).join(", ")}. What a step wants
besides, the error says.`;
