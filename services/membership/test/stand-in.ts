/**
 * Runs inside a lab host in the evaluator's place: sends ballots over the bus, writes what membership says to
 * stdout as JSON lines, and takes orders as JSON lines from stdin.
 */
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { NodeId } from "@quorate/contracts";
import { Bus, bootId, createLogger, monotonicUs, readBusCredentials } from "@quorate/runtime";
import { clusterKeyOf } from "../src/wire/key-file.ts";
import { Sealer } from "../src/wire/sealer.ts";
import { ballotOf, CLUSTER, heartbeatOf } from "./samples.ts";

export type Order =
  | { kind: "ballots"; everyMs: number; leaving: boolean }
  | { kind: "silence" }
  | { kind: "status" }
  | { kind: "config"; text: string }
  | { kind: "attack"; target: string; port: number; as: NodeId; keyFile: string };

const [, , selfText = "", runDir = ""] = process.argv;
const self = Number(selfText);
const bus = new Bus({
  credentials: readBusCredentials(runDir),
  clusterName: CLUSTER,
  nodeId: self,
  name: "stand-in",
  logger: createLogger({ service: "stand-in", node: self, level: "silent" }),
});

function say(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

bus.subscribeLocal("peers", (message) => say({ kind: "peers", atUs: monotonicUs(), message }));
bus.subscribeLocal("heard", ({ from, receivedAtUs, ballot }) =>
  say({ kind: "heard", from, receivedAtUs, atUs: monotonicUs(), name: ballot.name.atUs }),
);
bus.onConnection((connected) => say({ kind: "bus", connected }));

let timer: NodeJS.Timeout | undefined;

function vote(leaving: boolean): void {
  const nowUs = monotonicUs();
  const ballot = { ...ballotOf(self, nowUs), leaving };
  bus.publishLocal("ballot", {
    stampUs: nowUs,
    ballot: { ...ballot, name: { bootId: bootId(), atUs: nowUs } },
  });
}

/** What somebody on the network can send: noise, parts, foreign seals, old incarnations, fifty times each. */
function attack(order: Extract<Order, { kind: "attack" }>): void {
  const socket = createSocket(order.target.includes(":") ? "udp6" : "udp4");
  const key = clusterKeyOf(readFileSync(order.keyFile));
  const heartbeat = heartbeatOf(order.as, 7);
  const sealWith = (options: { clusterName: string; key: typeof key }): Buffer => {
    const named = { ...heartbeat, cluster: options.clusterName };
    const datagram = new Sealer({ ...options, node: order.as, incarnation: 7 }).seal(named, [0])?.get(0);
    if (datagram === undefined) throw new Error("too large");
    return datagram;
  };
  const own = sealWith({ clusterName: CLUSTER, key });
  const stranger = clusterKeyOf(Buffer.from(key.bytes).reverse());
  const later = Buffer.from(own);
  later.writeBigUInt64BE(2n ** 47n, 24);
  const batch = [
    Buffer.alloc(0),
    Buffer.alloc(300, 0x51),
    own.subarray(0, 60),
    Buffer.concat([own, Buffer.alloc(20_000)]),
    sealWith({ clusterName: "other", key }),
    sealWith({ clusterName: CLUSTER, key: stranger }),
    own,
    later,
  ];
  // One round at a time: more would overflow the receiver's queue and never reach the door.
  let round = 0;
  const send = (): void => {
    round += 1;
    let left = batch.length;
    for (const datagram of batch) {
      socket.send(datagram, order.port, order.target, () => {
        left -= 1;
        if (left > 0) return;
        if (round < 50) setTimeout(send, 5);
        else {
          socket.close();
          say({ kind: "attacked" });
        }
      });
    }
  };
  send();
}

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case "ballots":
      clearInterval(timer);
      vote(order.leaving);
      timer = setInterval(() => vote(order.leaving), order.everyMs);
      break;
    case "silence":
      clearInterval(timer);
      break;
    case "status": {
      const answer = await bus.request("membership", "status", self, {}, 2000);
      say({ kind: "status", answer });
      break;
    }
    case "config": {
      const stampUs = monotonicUs();
      const ref = { term: 1, version: 2, digest: "d".repeat(64) };
      bus.publishLocal("config", { stampUs, ref, text: order.text });
      break;
    }
    case "attack":
      attack(order);
      break;
  }
}

createInterface({ input: process.stdin })
  .on("line", (line) => void obey(JSON.parse(line) as Order))
  .on("close", () => process.exit(0));
