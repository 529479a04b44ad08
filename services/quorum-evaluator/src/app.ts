import { createHash } from "node:crypto";
import { join } from "node:path";
import { type ClusterConfig, QuorateError, carryBallot, readBallot } from "@quorate/contracts";
import { decodeText, encodeText, hostConfig, readSentDocument } from "@quorate/corosync-conf";
import { rehearseHandOvers, startQuorum, timingOf } from "@quorate/core-quorum";
import {
  BoottimeJumpDetector,
  Bus,
  EventPublisher,
  holdFolder,
  type Lifecycle,
  Metrics,
  monotonicUs,
  recordBus,
  readRunningConf,
  rehearseWhenSettled,
  type ServiceContext,
  serveRecording,
  StallWatch,
  startHealthServer,
  writeStateFileSync,
} from "@quorate/runtime";
import { diskReason, toldStatus } from "./disk-trouble.ts";
import { EVALUATOR_STATE_FILE, loadDurableState } from "./durable-state.ts";
import { EventDiff } from "./event-diff.ts";
import { QuorumLoop } from "./loop.ts";

/** Reading the other clock costs more than a decision: the gates in the kernel stand still with it anyway. */
const BOOTTIME_CHECK_US = 50_000;

function onceIn(everyUs: number, ask: () => number): () => number {
  let nextUs = 0;
  return () => {
    const nowUs = monotonicUs();
    if (nowUs < nextUs) return 0;
    nextUs = nowUs + everyUs;
    return ask();
  };
}

/** Wires the quorum core to the bus and to the disk. */
export async function runQuorumEvaluator(context: ServiceContext, lifecycle: Lifecycle): Promise<void> {
  const { nodeId, logger, stateDir, bootId, decisions } = context;
  await holdFolder(stateDir);
  const text = decodeText(readRunningConf(context, encodeText));
  const running = { config: hostConfig(text, context.runningConfFile), text };
  const { durable, lost } = loadDurableState(stateDir, running, nodeId);
  if (lost !== null) logger.error({ code: lost.code }, lost.message);

  const metrics = new Metrics("quorum-evaluator", nodeId);
  const { clusterName } = running.config;
  const bus = new Bus({
    credentials: context.credentials,
    clusterName,
    nodeId,
    name: "quorum-evaluator",
    logger,
    metrics,
  });
  lifecycle.onStop("bus", () => bus.close());
  const diff = new EventDiff(
    new EventPublisher({ bus, service: "quorum-evaluator", runDir: context.runDir, logger, decisions }),
  );
  if (lost !== null) diff.amnesiaFound(lost);

  const persistSeconds = metrics.histogram(
    "quorate_persist_seconds",
    "Time to make a vote durable",
    [0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1],
  );
  const boottime = new BoottimeJumpDetector();
  const stalls = new StallWatch((reason) => decisions?.record({ reason }));
  recordBus(bus, decisions);
  let diskTrouble: Error | null = null;
  const seed = createHash("sha256").update(`${nodeId} ${bootId} ${monotonicUs()}`).digest().readUInt32BE(0);
  const loop = new QuorumLoop(startQuorum(durable, { nowUs: monotonicUs(), bootId, seed }), {
    persist(state) {
      const end = persistSeconds.startTimer();
      writeStateFileSync(join(stateDir, EVALUATOR_STATE_FILE), state);
      end();
    },
    send(effect) {
      if (effect.kind === "ballot")
        bus.publishLocal("ballot", { stampUs: monotonicUs(), ballot: carryBallot(effect.ballot) });
      else bus.publishLocal("grant", effect.grant);
    },
    publish(message, reasons) {
      decisions?.know({
        term: message.term,
        view: `${message.view.term}.${message.view.number}`,
        config: message.stored.version,
      });
      for (const reason of reasons) {
        logger.info({ code: reason.code, ...reason.facts }, reason.message);
        decisions?.record({ reason });
      }
      bus.publishLocal("quorum", message);
      diff.publish(message, reasons);
    },
    barrier: () => bus.barrier(),
    suspendedUs: onceIn(BOOTTIME_CHECK_US, () => boottime.check()),
    woke: (dueUs) => stalls.woke(dueUs),
    diskTrouble(error) {
      if ((error === null) !== (diskTrouble === null)) decisions?.record({ reason: diskReason(error) });
      if (error !== null && diskTrouble === null)
        logger.error(
          { error: error.message },
          "The disk refuses the evaluator's state: nothing is voted or granted until it takes it.",
        );
      diskTrouble = error;
    },
  });
  lifecycle.onStop("loop", () => loop.stop());

  let unreadable = 0;
  // Read at every change of the configuration: the token may change at run time.
  let staleUs = timingOf(running.config.tokenMs).staleUs;
  let disarmedUntil: string | undefined = running.config.disarmedUntil;
  let disarmed = false;
  const checkDisarmed = () => {
    const now = disarmedUntil !== undefined && Date.parse(disarmedUntil) > Date.now();
    if (now !== disarmed) {
      disarmed = now;
      loop.step({ kind: "disarmed", disarmed, until: now ? (disarmedUntil ?? null) : null });
    }
  };

  bus.subscribeLocal("heard", (message) => {
    if (monotonicUs() - message.stampUs > staleUs) return;
    const ballot = readBallot(message.ballot);
    if (ballot === null) unreadable += 1;
    else loop.step({ kind: "heard", ballot, receivedAtUs: message.receivedAtUs });
  });
  bus.subscribeLocal("peers", (message) => {
    checkDisarmed();
    const { stampUs, peers, patience } = message;
    loop.step({ kind: "peers", stampUs, peers, patience });
  });
  bus.subscribeLocal("report", (message) => {
    if (monotonicUs() - message.stampUs <= staleUs) loop.step({ kind: "report", report: message });
  });
  // The same document comes every second.
  let known: { digest: string; config: ClusterConfig } | null = null;
  bus.subscribeLocal("stored", (message) => {
    if (known?.digest !== message.ref.digest) {
      const read = readSentDocument(message, context.runningConfFile);
      if (read === null) {
        logger.error(
          { version: message.ref.version },
          "A stored document does not match its digest or cannot be read; it is ignored.",
        );
        return;
      }
      known = { digest: message.ref.digest, config: read.config };
      disarmedUntil = read.config.disarmedUntil;
      staleUs = timingOf(read.config.tokenMs).staleUs;
    }
    loop.step({ kind: "stored", ref: message.ref, from: message.from, config: known.config });
    checkDisarmed();
  });

  checkDisarmed();
  loop.step({ kind: "tick" });
  rehearseWhenSettled(lifecycle, rehearseHandOvers());
  serveRecording(bus, "quorum-evaluator", () => loop.recording());
  serveRequests(bus, loop, diff, () => diskTrouble);
  metrics.gauge(
    "quorate_ballots_unreadable_total",
    "Ballots in a form that this version does not know",
    [],
    (gauge) => gauge.set(unreadable),
  );
  metrics.gauge("quorate_term", "The term this node is in", [], (gauge) =>
    gauge.set(loop.snapshot.durable.term),
  );
  metrics.gauge("quorate_is_master", "1 while this node is master", [], (gauge) =>
    gauge.set(loop.quorum?.role === "master" ? 1 : 0),
  );
  metrics.gauge("quorate_is_quorate", "1 while this node holds a lease", [], (gauge) =>
    gauge.set(loop.quorum?.quorate === "yes" ? 1 : 0),
  );
  const health = await startHealthServer({
    service: "quorum-evaluator",
    port: context.healthPort,
    metrics,
    readiness: () => {
      if (!bus.connected) return { ok: false, message: "the local bus is away" };
      if (diskTrouble !== null)
        return { ok: false, message: `the disk refuses the state: ${diskTrouble.message}` };
      return { ok: true, message: loop.quorum?.reason.message ?? "starting" };
    },
  });
  lifecycle.onStop("health", () => health.close());
}

function serveRequests(bus: Bus, loop: QuorumLoop, diff: EventDiff, diskTrouble: () => Error | null): void {
  bus.serve("quorum-evaluator", "status", () => toldStatus(loop.quorum, diskTrouble()));
  bus.serve("quorum-evaluator", "move", ({ target }) => {
    const refusal = loop.step({ kind: "move", target });
    if (refusal === null) return { term: loop.snapshot.durable.term };
    switch (refusal.code) {
      case "NOT_MASTER":
        throw new QuorateError("NOT_MASTER", refusal.message, "Ask again: the master may just have changed.");
      case "NODE_UNKNOWN":
        throw new QuorateError("NODE_UNKNOWN", refusal.message, "`quorate nodes` lists the nodes.");
      default:
        throw new QuorateError(
          "UNSAFE",
          refusal.message,
          "`quorate status` on that node says what it lacks.",
        );
    }
  });
  bus.serve("quorum-evaluator", "drain", async () => {
    if (!loop.snapshot.leaving) diff.drainRequested();
    loop.step({ kind: "drain" });
    // The token may have changed since the start.
    await drained(loop, timingOf(loop.snapshot.durable.voters.tokenMs).tokenUs * 2);
    return {};
  });
}

/** Until the mastership is given away and the view goes on without this node, or the time is up. */
async function drained(loop: QuorumLoop, limitUs: number): Promise<void> {
  const limitAtUs = monotonicUs() + limitUs;
  for (;;) {
    const { wonTerm, durable } = loop.snapshot;
    const gone = wonTerm === null && (durable.out || loop.quorum?.leader === null);
    if (gone || monotonicUs() >= limitAtUs) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
