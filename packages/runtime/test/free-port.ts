import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Free now, and below the range (32768 and up) from which the kernel takes ports for outgoing connections: one of those
 * may sit on a port of that range before the server listens on it, which nats-server says only after "ready".
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
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
