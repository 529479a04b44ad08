import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Decision, JOURNAL_FILE, JOURNAL_SOCKET, type Reason } from "@quorate/contracts";
import { JOURNAL_BOUNDS, JournalStore } from "@quorate/journal-file";
import {
  holdFolder,
  identifyProcess,
  type Lifecycle,
  Metrics,
  monotonicUs,
  roomInBytes,
  type ServiceContext,
  startHealthServer,
} from "@quorate/runtime";
import { Door } from "./door.ts";
import { Intake } from "./intake.ts";
import { ClockWatch, ParentWatch, RoomWatch } from "./look-around.ts";
import { previousEnd } from "./previous-end.ts";

/** A wall clock that was set and set back within this may be missed. Costs a few ten microseconds. */
const LOOK_EVERY_MS = 2000;

/**
 * Keeps the node's journal: takes what the processes of this node decided, writes it down, answers nobody's safety
 * depends on it. Not on the bus: it has to hear what happens while the bus is down.
 */
export async function runJournal(context: ServiceContext, lifecycle: Lifecycle): Promise<void> {
  const { logger, nodeId, bootId, stateDir, runDir } = context;
  const path = join(stateDir, JOURNAL_FILE);
  const self = identifyProcess(process.pid);
  const run = `${bootId}/journal/${process.pid}-${self?.startTime ?? "0"}`;
  let seq = 0;
  let intake: Intake | null = null;
  const held: Decision[] = [];
  const record = (reason: Reason) => {
    seq += 1;
    logger.info({ code: reason.code, ...reason.facts }, reason.message);
    const decision = ownDecision(context, run, seq, reason);
    if (intake === null) held.push(decision);
    else intake.take(decision);
  };
  const open = (distrust: string | null): JournalStore => {
    const { store, setAside } = JournalStore.open(path, JOURNAL_BOUNDS, distrust);
    if (setAside !== null) {
      record({
        code: "JOURNAL_SET_ASIDE",
        message: `The journal could not be trusted (${setAside}); it is kept as ${JOURNAL_FILE}.corrupt and a new one begun.`,
      });
    }
    return store;
  };
  const firstOpen = (): JournalStore | null => {
    try {
      return open(null);
    } catch (error) {
      logger.error({ error: (error as Error).message }, "the journal cannot be opened; it is tried again");
      return null;
    }
  };
  // The state folder itself is held by the quorum-evaluator.
  mkdirSync(join(stateDir, "log"), { recursive: true });
  await holdFolder(join(stateDir, "log"));
  const store = firstOpen();
  const end = store === null ? null : previousEnd(store, bootId);
  if (end !== null) record(end);
  store?.prune(Date.now());
  intake = new Intake(store, {
    node: nodeId,
    bootId,
    open,
    onDisk: (problem) =>
      record(
        problem === null
          ? {
              code: "DISK_ACCEPTED",
              message: "The disk takes the journal again; what had waited is written.",
            }
          : {
              code: "DISK_REFUSED",
              message: `The disk refuses the journal: ${problem}. What is decided is kept in memory.`,
              facts: { problem },
            },
      ),
    onGap: (of, service, first, last) =>
      record({
        code: "DECISIONS_LOST",
        message: `${last - first + 1} decision${last === first ? "" : "s"} of ${service} were lost: they were made while the journal could not be told, and nobody remembers them.`,
        facts: { of, service, first, last },
      }),
  });
  for (const decision of held.splice(0)) intake.take(decision);
  const keeper = intake;
  lifecycle.onStop("journal", () => keeper.close());
  const door = new Door(intake, logger);
  await door.listen(join(runDir, JOURNAL_SOCKET));
  lifecycle.onStop("door", () => door.close());

  const clock = new ClockWatch();
  const parent = new ParentWatch(process.ppid);
  const room = new RoomWatch(stateDir);
  const look = () => {
    const all = [
      clock.look(Date.now(), performance.now()),
      parent.look(process.ppid),
      room.look(roomInBytes(stateDir)),
    ];
    for (const seen of all) {
      if (seen !== null) record(seen);
    }
    keeper.look();
  };
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  lifecycle.onStop("clock", () => clearInterval(timer));

  const metrics = new Metrics("journal", nodeId);
  metrics.gauge(
    "quorate_journal_decisions_total",
    "Decisions since the start of this process",
    ["what"],
    (gauge) => {
      const { given, written } = keeper.counters;
      gauge.set({ what: "given" }, given);
      gauge.set({ what: "written" }, written);
      gauge.set({ what: "refused" }, door.refused);
    },
  );
  metrics.gauge("quorate_journal_waiting", "Decisions that the disk has not taken yet", [], (gauge) =>
    gauge.set(keeper.waiting.length),
  );
  const health = await startHealthServer({
    service: "journal",
    port: context.healthPort,
    metrics,
    readiness: () =>
      keeper.problem === null
        ? { ok: true, message: "decisions are written down" }
        : { ok: false, message: `the disk refuses the journal: ${keeper.problem}` },
  });
  lifecycle.onStop("health", () => health.close());
}

function ownDecision(context: ServiceContext, run: string, seq: number, reason: Reason): Decision {
  return {
    run,
    seq,
    service: "journal",
    node: context.nodeId,
    bootId: context.bootId,
    wallMs: Date.now(),
    monoUs: monotonicUs(),
    code: reason.code,
    message: reason.message,
    facts: { ...reason.facts },
    event: null,
    old: null,
    new: null,
    eventId: null,
    causeId: null,
    term: null,
    view: null,
    config: null,
  };
}
