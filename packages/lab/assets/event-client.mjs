// A stock NATS client as the manual shows it, run in a host: writes every event that the host's own server delivers,
// one line of JSON each; the first line is "listening", once the server has taken the subscription.
import { readFileSync } from "node:fs";
import { connect } from "nats";

const { url, user, password } = JSON.parse(readFileSync("/run/quorate/reader.json", "utf8"));
const bus = await connect({ servers: url, user, pass: password, maxReconnectAttempts: -1 });
const events = bus.subscribe("quorate.v1.>");
await bus.flush();
process.stdout.write("listening\n");
for await (const message of events) {
  process.stdout.write(`${JSON.stringify({ subject: message.subject, event: message.json() })}\n`);
}
