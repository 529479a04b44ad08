// The lab's managed service: answers every GET with the name of the host it runs on.
// A bare TCP server and not node:http, because it is asked 200 times a second and has to stay small.
// Usage: node service.mjs [--port 1500]
import { createServer } from "node:net";
import { hostname } from "node:os";

const at = process.argv.indexOf("--port");
const port = at === -1 ? 1500 : Number(process.argv[at + 1]);
const body = `${hostname()}\n`;
const response = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
);

createServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.setTimeout(5000, () => socket.destroy());
  socket.once("data", () => socket.end(response));
})
  .on("error", (error) => {
    console.error(`managed service: cannot listen on port ${port}: ${error.message}`);
    process.exit(1);
  })
  .listen(port);

process.on("SIGTERM", () => process.exit(0));
