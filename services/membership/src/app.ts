import { assertNever, type ClusterConfig, QuorateError } from "@quorate/contracts";
import { decodeText, encodeText, hostConfig, readHostConfig, refusalError } from "@quorate/corosync-conf";
import type { MembershipEffect } from "@quorate/core-membership";
import {
  breakRoute,
  Bus,
  EventPublisher,
  type Lifecycle,
  Metrics,
  readRunningConf,
  type ServiceContext,
  serveRecording,
  StallWatch,
  startHealthServer,
} from "@quorate/runtime";
import { MembershipEvents } from "./events.ts";
import { IncarnationFile } from "./incarnation-file.ts";
import { LinkLoss } from "./link-loss.ts";
import { MembershipLoop } from "./loop.ts";
import { exportMetrics } from "./metrics.ts";
import { membershipProblems } from "./problems.ts";
import { readClusterKey } from "./wire/key-file.ts";

const LOOK_AROUND_MS = 1000;

/** The service: bus and events around the loop. Heartbeats never wait for the bus. */
export async function startMembershipService(context: ServiceContext, lifecycle: Lifecycle): Promise<void> {
  const { nodeId, logger } = context;
  const firstText = decodeText(readRunningConf(context, encodeText));
  const config = hostConfig(firstText, context.runningConfFile);
  if (!config.nodes.some((node) => node.id === nodeId)) {
    throw new QuorateError(
      "NODE_UNKNOWN",
      `Node ${nodeId} is not in the node list of ${context.runningConfFile}.`,
      `The list has ${config.nodes.map((node) => node.id).join(", ")}; start with one of these as --node-id.`,
    );
  }
  const key = readClusterKey(context.authkeyFile);
  const metrics = new Metrics("membership", nodeId);
  const bus = new Bus({
    credentials: context.credentials,
    clusterName: config.clusterName,
    nodeId,
    name: "membership",
    logger,
    metrics,
  });
  const events = new MembershipEvents(
    new EventPublisher({
      bus,
      service: "membership",
      runDir: context.runDir,
      logger,
      decisions: context.decisions,
    }),
  );
  const losses = new LinkLoss();
  const stalls = new StallWatch((reason) => context.decisions?.record({ reason }));
  let current = { text: firstText, config };

  const perform = (effect: Exclude<MembershipEffect, { kind: "persist" | "send" }>): void => {
    switch (effect.kind) {
      case "publish-heard":
        bus.publishLocal("heard", effect.message);
        break;
      case "publish-peers":
        bus.publishLocal("peers", effect.message);
        for (const reason of losses.look(effect.message)) context.decisions?.record({ reason });
        break;
      case "peer-changed":
        events.peerChanged(effect);
        break;
      case "link-changed":
        events.linkChanged(effect);
        break;
      case "break-route":
        void breakRoutes(effect.node);
        break;
      default:
        assertNever(effect);
    }
  };

  const breakRoutes = async (node: number): Promise<void> => {
    const addresses = current.config.nodes.find((candidate) => candidate.id === node)?.addresses ?? [];
    for (const address of addresses) {
      try {
        const count = await breakRoute(address, current.config.routePort);
        if (count > 0) logger.info({ node, address, count }, "dead bus routes were reset");
      } catch (error) {
        if (!(error instanceof QuorateError)) throw error;
        logger.warn({ node, code: error.code, hint: error.hint }, error.message);
      }
    }
  };

  const loop = new MembershipLoop({
    config,
    self: nodeId,
    bootId: context.bootId,
    key,
    incarnations: new IncarnationFile(context.stateDir, logger),
    logger,
    output: { perform },
    onReason: (reason) => {
      const lateMs = reason.facts?.["lateMs"];
      if (reason.code === "own-loop-late" && typeof lateMs === "number") stalls.stalled(lateMs * 1000);
      context.decisions?.record({ reason });
    },
  });

  lifecycle.onStop("bus", () => bus.close());
  lifecycle.onStop("heartbeats", () => loop.leave());

  bus.subscribeLocal("ballot", ({ stampUs, ballot }) => loop.input({ kind: "ballot", stampUs, ballot }));
  bus.subscribeLocal("config", ({ text }) => {
    if (text === current.text) return;
    const next = acceptConfig(text, current.config, logger);
    // A refused text is remembered too: it comes every second and is refused once.
    current = { text, config: next ?? current.config };
    if (next !== null) loop.configure(next);
  });
  bus.serve("membership", "status", () => ({
    peers: loop.peers(),
    counters: loop.counters,
    problems: membershipProblems(loop),
  }));

  serveRecording(bus, "membership", () => loop.recording());
  await loop.start();

  const lookAround = setInterval(() => {
    stalls.breathe();
    events.rejected(loop.refused, performance.now());
    events.patience(loop.state.health.patience);
  }, LOOK_AROUND_MS);
  lifecycle.onStop("clock", () => clearInterval(lookAround));

  exportMetrics(metrics, loop);
  const health = await startHealthServer({
    service: "membership",
    port: context.healthPort,
    metrics,
    readiness: () => readiness(bus, loop),
  });
  lifecycle.onStop("health", () => health.close());
}

function readiness(bus: Bus, loop: MembershipLoop) {
  const problems = membershipProblems(loop).map(({ code, message }) => `${code}: ${message}`);
  if (!bus.connected) problems.push("BUS_UNREACHABLE: the local NATS server does not answer.");
  const ok = bus.connected && loop.rings.rings.length > 0 && loop.state.identityProblem === null;
  return {
    ok,
    message: problems[0] ?? "heartbeats go out and the bus answers",
    facts: { problems, rings: loop.rings.rings, incarnation: loop.state.incarnation },
  };
}

/** Null when this process cannot take it over at run time. */
function acceptConfig(
  text: string,
  running: ClusterConfig,
  logger: ServiceContext["logger"],
): ClusterConfig | null {
  const read = readHostConfig(text, "local.config");
  if (!read.ok) {
    const error = refusalError(read);
    logger.error({ code: error.code, hint: error.hint }, error.message);
    return null;
  }
  if (read.config.clusterName !== running.clusterName) {
    logger.error(
      { from: running.clusterName, to: read.config.clusterName },
      "cluster_name cannot be changed while the cluster runs; the old one stays until all nodes are restarted",
    );
    return null;
  }
  return read.config;
}
