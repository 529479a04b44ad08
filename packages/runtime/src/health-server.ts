import type { ServiceName } from "@quorate/contracts";
import { QuorateError } from "@quorate/contracts";
import type { Metrics } from "./metrics.ts";
import { QUORATE_VERSION } from "./version.ts";

/** An answer with its reason; `facts` are shown as they are. */
export interface HealthAnswer {
  ok: boolean;
  message: string;
  facts?: Record<string, unknown>;
}

export interface HealthServerOptions {
  service: ServiceName | string;
  /** 0 takes any free port. */
  port: number;
  host?: string;
  metrics: Metrics;
  /** Bus connected and the service's own condition. Losing quorum is a state, NOT unreadiness. */
  readiness: () => HealthAnswer;
  /** Only for a service that can know itself to be stuck; answering at all shows that the loop runs. */
  liveness?: () => HealthAnswer;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves /livez, /readyz (200 or 503, JSON with a message), /metrics (Prometheus text) and /version.
 * Throws QuorateError PORT_TAKEN naming the port.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  // Loaded late: half of a service's start would go into it, and a restarted service has votes to answer first.
  const { fastify } = await import("fastify");
  const server = fastify({ logger: false, forceCloseConnections: true });
  const live = options.liveness ?? (() => ({ ok: true, message: "the loop answers" }));
  for (const [path, ask] of [
    ["/livez", live],
    ["/readyz", options.readiness],
  ] as const) {
    server.get(path, (_request, reply) => {
      const answer = ask();
      void reply.code(answer.ok ? 200 : 503).send(answer);
    });
  }
  server.get("/metrics", async (_request, reply) => {
    void reply.header("content-type", options.metrics.registry.contentType);
    return options.metrics.registry.metrics();
  });
  server.get("/version", () => ({
    service: options.service,
    version: QUORATE_VERSION,
    node: process.version,
  }));
  const host = options.host ?? "127.0.0.1";
  try {
    await server.listen({ host, port: options.port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new QuorateError(
      "PORT_TAKEN",
      `${options.service}: another program listens on ${host} port ${options.port}.`,
      `Find it with: ss -ltnp 'sport = :${options.port}' and stop it, or move our ports with --health-base.`,
      { cause: error },
    );
  }
  const address = server.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close: () => server.close(),
  };
}
