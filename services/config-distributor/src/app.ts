import { compareConfigRefs, QuorateError, type Reason } from "@quorate/contracts";
import { formatRef } from "@quorate/core-config";
import {
  applyNatsServerConf,
  Bus,
  EventPublisher,
  type Lifecycle,
  Metrics,
  reloadNatsServer,
  type ServiceContext,
  serveRecording,
  startHealthServer,
} from "@quorate/runtime";
import { createDocumentTools } from "./document-tools.ts";
import { DocumentStore } from "./document-store.ts";
import { Inventory } from "./inventory.ts";
import { OperatorFile } from "./operator-file.ts";
import { OperatorFileLoop } from "./operator-file-loop.ts";
import { RegisterEvents } from "./publish-events.ts";
import { RegisterLoop } from "./register-loop.ts";

const SERVICE = "config-distributor";
/** Between two looks at the clock while something is under way, and else: judgements come twice a token anyway. */
const TICK_BUSY_MS = 250;
const TICK_IDLE_MS = 1000;
/** The bus's routes, and the operator's file should its watch have failed, are compared at least so often. */
const COMPARE_MS = 5000;
/** So many comparisons for one look at the document on the disk: it changes only when something is broken. */
const REPAIR_EVERY = 5;

/** Wires the register to the disk, the bus, the operator's file and the local nats-server. */
export async function startDistributor(context: ServiceContext, lifecycle: Lifecycle): Promise<void> {
  const { logger, nodeId } = context;
  const tools = createDocumentTools();
  const { store, document } = await DocumentStore.open(context, tools, logger);
  const verdict = tools.read(document.text, context.runningConfFile);
  if (!verdict.ok) {
    throw new QuorateError(
      "CONFIG_INVALID",
      `The stored configuration cannot be used: ${verdict.reason.message}`,
      "Did an older version of Quorate take the place of a newer one? Install the newer one again.",
    );
  }
  const { clusterName } = verdict.config;
  const metrics = new Metrics(SERVICE, nodeId);
  const bus = new Bus({
    credentials: context.credentials,
    clusterName,
    nodeId,
    name: SERVICE,
    logger,
    metrics,
  });
  lifecycle.onStop("bus", () => bus.close());
  const publisher = new EventPublisher({
    bus,
    service: SERVICE,
    runDir: context.runDir,
    logger,
    decisions: context.decisions,
  });
  const events = new RegisterEvents(publisher, tools, nodeId);
  const file = new OperatorFile(context.configFile);

  const outcomes = metrics.counter(
    "quorate_config_outcomes_total",
    "Fetches, proposals and writes by outcome",
    ["what", "outcome"],
  );
  const loop = new RegisterLoop({
    bus,
    store,
    tools,
    document,
    logger,
    onEvent: (event, reason, stored) => events.publish(event, reason, stored),
    onOutcome: (what, outcome) => outcomes.inc({ what, outcome }),
    onStep: () => afterStep(),
  });
  const operatorFile = new OperatorFileLoop({
    file,
    store,
    tools,
    logger,
    state: () => loop.state,
    onNote: (note) => events.fileNote(note),
  });
  exportState(metrics, loop, operatorFile);

  const inventory = new Inventory(bus, context.stateDir, logger);
  inventory.configure(loop.state.config);
  lifecycle.onStop("inventory", () => inventory.close());

  let natsProblem: Reason | null = null;
  let isApplying = false;
  async function compareRoutes(): Promise<void> {
    if (isApplying) return;
    isApplying = true;
    try {
      const changed = await applyNatsServerConf(context, loop.state.config);
      if (changed) logger.info("the routes of the local nats-server changed and were loaded");
      natsProblem = null;
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      if (natsProblem === null) logger.warn({ code: error.code, hint: error.hint }, error.message);
      natsProblem = { code: error.code, message: `${error.message} ${error.hint}` };
    } finally {
      isApplying = false;
    }
  }

  async function repairDocument(): Promise<void> {
    try {
      await store.repair(loop.state.stored);
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      logger.error({ code: error.code, hint: error.hint }, error.message);
    }
  }

  let seen = "";
  let tick: NodeJS.Timeout | undefined;
  /** What follows from a new document or a new commit is done at once, not by the clock. */
  function afterStep(): void {
    clearTimeout(tick);
    tick = setTimeout(() => loop.input({ kind: "tick" }), loop.isBusy ? TICK_BUSY_MS : TICK_IDLE_MS);
    const { stored, quorum } = loop.state;
    const now = `${formatRef(stored.ref)} ${quorum?.committed === null || quorum === null ? "" : formatRef(quorum.committed)}`;
    if (now === seen) return;
    seen = now;
    operatorFile.check();
    inventory.configure(loop.state.config);
    void compareRoutes();
  }

  const problems = (): Reason[] => {
    const all = loop.problems();
    return natsProblem === null ? all : [...all, natsProblem];
  };
  serveRecording(bus, SERVICE, () => loop.recording());
  serveRequests(bus, loop, store, operatorFile, problems);
  bus.subscribeLocal("quorum", (message) => loop.input({ kind: "quorum", message }));
  bus.subscribeLocal("peers", (message) => loop.input({ kind: "peers", message }));
  bus.onConnection((connected) => {
    if (connected) loop.announce();
  });

  // A predecessor may have written the routes and died before it said so.
  reloadNatsServer(context.runDir);
  file.watch(() => operatorFile.check());
  let comparisons = 0;
  const compare = setInterval(() => {
    comparisons += 1;
    if (comparisons % REPAIR_EVERY === 0 && loop.state.persisting === null) void repairDocument();
    file.watch(() => operatorFile.check());
    operatorFile.check();
    void compareRoutes();
  }, COMPARE_MS);
  lifecycle.onStop("timers", () => {
    clearTimeout(tick);
    clearInterval(compare);
    file.close();
  });
  loop.input({ kind: "tick" });

  const health = await startHealthServer({
    service: SERVICE,
    port: context.healthPort,
    metrics,
    readiness: () => {
      const stored = loop.state.storeProblem;
      if (!bus.connected) return { ok: false, message: "the local nats-server does not answer" };
      if (stored !== null) return { ok: false, message: stored.message };
      const version = loop.state.stored.ref.version;
      return { ok: true, message: `runs on version ${version}`, facts: { problems: problems() } };
    },
  });
  lifecycle.onStop("health", () => health.close());
}

function serveRequests(
  bus: Bus,
  loop: RegisterLoop,
  store: DocumentStore,
  operatorFile: OperatorFileLoop,
  problems: () => Reason[],
): void {
  bus.serve(SERVICE, "status", () => ({
    stored: loop.state.stored.ref,
    committed: loop.state.quorum?.committed ?? null,
    fileNote: operatorFile.note,
    text: loop.state.stored.text,
    problems: problems(),
  }));
  bus.serve(SERVICE, "get", ({ term, ref }) => {
    const { stored, quorum } = loop.state;
    if (quorum !== null && quorum.term < term) {
      throw new QuorateError(
        "NOT_MASTER",
        `Node ${bus.nodeId} is in term ${quorum.term}, the asker in term ${term}: what it has may be old.`,
        "Nothing to do: it is asked again when it has caught up.",
      );
    }
    if (compareConfigRefs(stored.ref, ref) < 0) {
      throw new QuorateError(
        "CONFIG_STALE",
        `Node ${bus.nodeId} has ${formatRef(stored.ref)}, older than the ${formatRef(ref)} asked for.`,
        "Nothing to do: it is asked again when it has caught up.",
      );
    }
    return { ref: stored.ref, text: stored.text, reason: stored.reason };
  });
  bus.serve(SERVICE, "propose", ({ base, text, reason, forwarded }) =>
    loop.propose({ base, text, reason, forwarded: forwarded ?? false }),
  );
  bus.serve(SERVICE, "history", ({ limit }) => ({ entries: store.history(limit) }));
}

function exportState(metrics: Metrics, loop: RegisterLoop, operatorFile: OperatorFileLoop): void {
  metrics.gauge("quorate_config_version", "Version of the document that runs", [], (gauge) =>
    gauge.set(loop.state.stored.ref.version),
  );
  metrics.gauge("quorate_config_term", "Term that the document that runs is stamped with", [], (gauge) =>
    gauge.set(loop.state.stored.ref.term),
  );
  metrics.gauge(
    "quorate_config_committed_version",
    "Newest version known to be committed; -1: unknown",
    [],
    (gauge) => gauge.set(loop.state.quorum?.committed?.version ?? -1),
  );
  metrics.gauge("quorate_config_problems", "Number of things that are degraded here", [], (gauge) =>
    gauge.set(loop.problems().length),
  );
  metrics.gauge(
    "quorate_config_file_differs",
    "1 while the operator's file differs from what runs",
    [],
    (gauge) => gauge.set(operatorFile.note === null ? 0 : 1),
  );
}
