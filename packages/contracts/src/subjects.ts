import type { NodeId } from "./cluster-config.ts";

/** The services of a node, as they stand in subjects, pid files, logs and unit names. */
export const SERVICES = [
  "membership",
  "quorum-evaluator",
  "failover-actuator",
  "config-distributor",
  "journal",
] as const;
export type ServiceName = (typeof SERVICES)[number];

/** Loopback HTTP ports of /livez /readyz /metrics /version. */
export const HEALTH_PORTS: Record<ServiceName, number> = {
  membership: 7401,
  "quorum-evaluator": 7402,
  "failover-actuator": 7403,
  "config-distributor": 7404,
  journal: 7405,
};

/** The node's nats-server listens for its own services here, on loopback. */
export const BUS_CLIENT_PORT = 7422;

export const LOCAL_TOPICS = [
  "ballot",
  "heard",
  "peers",
  "grant",
  "report",
  "stored",
  "config",
  "quorum",
] as const;
export type LocalTopic = (typeof LOCAL_TOPICS)[number];

export const EVENT_DOMAINS = ["membership", "quorum", "failover", "config", "node"] as const;
export type EventDomain = (typeof EVENT_DOMAINS)[number];

/** A cluster name as one token of a subject: what NATS does not allow there becomes `_`. */
export function subjectToken(clusterName: string): string {
  return clusterName.replaceAll(/[^A-Za-z0-9_-]/g, "_");
}

function nodePrefix(clusterName: string, node: NodeId | "*"): string {
  return `quorate.v1.${subjectToken(clusterName)}.${node}`;
}

/** Between the services of one node; never leaves it, as nobody elsewhere subscribes. */
export function localSubject(clusterName: string, node: NodeId, topic: LocalTopic): string {
  return `${nodePrefix(clusterName, node)}.local.${topic}`;
}

/** A request to one service of one node, from the same node or another. */
export function requestSubject(
  clusterName: string,
  node: NodeId,
  service: ServiceName,
  verb: string,
): string {
  return `${nodePrefix(clusterName, node)}.request.${service}.${verb}`;
}

export const MACHINE_TOPICS = ["report", "statement"] as const;
export type MachineTopic = (typeof MACHINE_TOPICS)[number];

/** What hosts of machines and the master say to each other: a report of `node` to everybody, a statement to `node`. */
export function machineSubject(clusterName: string, node: NodeId | "*", topic: MachineTopic): string {
  return `${nodePrefix(clusterName, node)}.machines.${topic}`;
}

/** Where a node publishes an event; `*` as node subscribes to all nodes. */
export function eventSubject(
  clusterName: string,
  node: NodeId | "*",
  domain: EventDomain,
  event: string,
): string {
  return `${nodePrefix(clusterName, node)}.${domain}.${event}`;
}
