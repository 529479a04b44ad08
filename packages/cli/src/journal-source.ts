import { connect } from "node:net";
import { join } from "node:path";
import { type Decision, FromJournalSchema, JOURNAL_FILE, JOURNAL_SOCKET } from "@quorate/contracts";
import { asRows, inOrder, type JournalQuery, type JournalRow, readJournal } from "@quorate/journal-file";

const ASK_LIMIT_MS = 300;

export interface JournalView {
  rows: JournalRow[];
  /** Why it may be incomplete; null when it is not. */
  problem: string | null;
}

/**
 * The journal's file, and what the journal service has in memory because the disk refuses it. Needs neither the bus
 * nor any service. Throws what `readJournal` throws.
 */
export async function lookIntoJournal(
  where: { stateDir: string; runDir: string },
  query: JournalQuery,
): Promise<JournalView> {
  const rows = readJournal(join(where.stateDir, JOURNAL_FILE), query);
  const { decisions, problem } = await askJournal(where.runDir);
  const wanted = decisions.filter(
    ({ wallMs, service }) =>
      wallMs >= (query.fromMs ?? 0) &&
      wallMs <= (query.untilMs ?? Number.POSITIVE_INFINITY) &&
      (query.services === undefined || query.services.length === 0 || query.services.includes(service)),
  );
  return { rows: inOrder([...rows, ...asRows(wanted, rows)]), problem };
}

export interface JournalAnswer {
  /** False: the service does not run, or does not answer as agreed. */
  answers: boolean;
  /** Not on the disk yet, oldest first. */
  decisions: Decision[];
  /** Why it does not answer, or why the disk does not take its decisions; null when all is well. */
  problem: string | null;
}

/** Asks the journal service what the disk has not taken yet. Never throws; takes `ASK_LIMIT_MS` at most. */
export function askJournal(runDir: string): Promise<JournalAnswer> {
  return new Promise((resolve) => {
    const decisions: Decision[] = [];
    const socket = connect(join(runDir, JOURNAL_SOCKET));
    const end = (problem: string | null, answers = false) => {
      clearTimeout(limit);
      socket.destroy();
      resolve({ answers, decisions, problem });
    };
    const limit = setTimeout(() => end("the journal service does not answer"), ASK_LIMIT_MS);
    let rest = "";
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${JSON.stringify({ kind: "ask" })}\n`));
    socket.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const parsed = FromJournalSchema.safeParse(parse(line));
        if (!parsed.success)
          return end("the journal service answers in a form that this version does not know");
        if (parsed.data.kind === "unwritten") decisions.push(parsed.data.decision);
        if (parsed.data.kind === "end") return end(parsed.data.problem, true);
      }
    });
    socket.on("error", () => end("the journal service does not run"));
  });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
