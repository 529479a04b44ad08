import { once } from "node:events";
import { createServer } from "node:net";

const FIRST_PORT = 10_000;
const PORTS_PER_WORKER = 1000;
const WORKERS = 20;

const handedOut = new Set<number>();

/**
 * A port of 127.0.0.1 that is free now, is handed out once per process, and by no other worker of this test run:
 * between the asking and the listening nothing else may take it, and nats-server says that its route port is taken
 * only after "ready". Below the range (32768 and up) from which the kernel takes ports for outgoing connections.
 */
export async function freePort(): Promise<number> {
  const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % WORKERS;
  for (;;) {
    const port = FIRST_PORT + worker * PORTS_PER_WORKER + Math.floor(Math.random() * PORTS_PER_WORKER);
    if (handedOut.has(port)) continue;
    handedOut.add(port);
    const server = createServer();
    server.listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
