// Both ends of a connection to a storage, for machine-gate-world.ts; orders come by standard input, a line each.
// `server <port>`: reads from the first order on. Says: listening; read <bytes> <when>; closed <bytes>, per connection.
// `client <address> <port>`: `write <bytes>` once, `stream <bytes>` again and again, `end`. Says: connected; wrote;
// ended <error>.
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

const [role = "", ...rest] = process.argv.slice(2);
const say = (words: string): void => {
  process.stdout.write(`${words}\n`);
};
const orders = createInterface({ input: process.stdin });
// Whoever gave the orders is gone.
orders.once("close", () => process.exit());

if (role === "server") {
  const sockets = new Set<{ resume(): unknown }>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    let bytes = 0;
    sockets.add(socket);
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      say(`read ${bytes} ${process.hrtime.bigint() / 1_000n}`);
    });
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      say(`closed ${bytes}`);
    });
  });
  server.listen(Number(rest[0]), "::", () => say("listening"));
  let reading = false;
  server.on("connection", (socket) => {
    if (reading) socket.resume();
  });
  orders.on("line", () => {
    reading = true;
    for (const socket of sockets) socket.resume();
  });
} else {
  const socket = connect(Number(rest[1]), rest[0] ?? "");
  socket.once("connect", () => say("connected"));
  socket.on("error", (error: NodeJS.ErrnoException) => say(`ended ${error.code}`));
  orders.on("line", (order) => {
    const [verb, amount] = order.split(" ");
    const chunk = Buffer.alloc(Number(amount ?? 0));
    if (verb === "write") {
      socket.write(chunk);
      say("wrote");
    } else if (verb === "end") {
      socket.end();
    } else {
      // As fast as it is taken, a little at a time.
      const go = (): void => {
        if (!socket.destroyed) socket.write(chunk, () => setImmediate(go));
      };
      go();
    }
  });
}
