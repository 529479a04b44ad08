import { type NodeId, QuorateError } from "@quorate/contracts";
import { Bus, createLogger, readBusCredentials } from "@quorate/runtime";

const CONNECT_LIMIT_MS = 600;

/** Connects a command to the node's own server. Throws QuorateError BUS_UNREACHABLE. */
export async function openBus(where: { nodeId: NodeId; clusterName: string; runDir: string }): Promise<Bus> {
  const credentials = readBusCredentials(where.runDir);
  const bus = new Bus({
    credentials,
    clusterName: where.clusterName,
    nodeId: where.nodeId,
    name: "command line",
    logger: createLogger({ service: "cli", node: where.nodeId, level: "silent" }),
  });
  const connected = await new Promise<boolean>((resolve) => {
    const limit = setTimeout(() => resolve(false), CONNECT_LIMIT_MS);
    bus.onConnection((now) => {
      if (!now) return;
      clearTimeout(limit);
      resolve(true);
    });
  });
  if (connected) return bus;
  await bus.close();
  throw new QuorateError(
    "BUS_UNREACHABLE",
    `The local NATS server at ${credentials.url} does not answer.`,
    "Is the node running (quorate node run)? See log/nats-server.log in its state directory.",
  );
}
