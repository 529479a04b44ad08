import {
  localSubject,
  type PeersMessage,
  PeersMessageSchema,
  QuorateError,
  requestSubject,
} from "@quorate/contracts";
import fc from "fast-check";
import { connect } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Bus, monotonicUs } from "../src/index.ts";
import { freePort } from "./free-port.ts";
import { credentials, makeBus, NatsFixture, plainConf, until } from "./nats-fixture.ts";

function peersMessage(incarnation: number): PeersMessage {
  return {
    stampUs: monotonicUs(),
    node: 2,
    bootId: "0123456789abcdef",
    incarnation,
    patience: 1,
    peers: [],
  };
}

let port: number;
let server: NatsFixture;
let buses: Bus[];

beforeEach(async () => {
  port = await freePort();
  server = new NatsFixture(plainConf(port));
  await server.start();
  buses = [];
});

afterEach(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await server.remove();
});

async function connected(nodeId = 2): Promise<Bus> {
  const bus = makeBus(port, nodeId);
  buses.push(bus);
  await until("bus connected", () => bus.connected);
  return bus;
}

describe("bus", () => {
  it("carries local messages and drops what is stale", async () => {
    const [sender, receiver] = [await connected(), await connected()];
    const got: number[] = [];
    const fresh: number[] = [];
    receiver.subscribeLocal("peers", (message) => got.push(message.incarnation));
    receiver.subscribeLocal("peers", (message) => fresh.push(message.incarnation), { maxAgeUs: 1_000_000 });
    await receiverReady(receiver);
    sender.publishLocal("peers", { ...peersMessage(1), stampUs: monotonicUs() - 2_000_000 });
    sender.publishLocal("peers", peersMessage(2));
    await until("both", () => got.length === 2);
    expect(got).toEqual([1, 2]);
    expect(fresh).toEqual([2]);
    expect(receiver.counters.stale).toBe(1);
  });

  it("refuses to send a message without the form, and counts it", async () => {
    const bus = await connected();
    const message = { ...peersMessage(1), incarnation: 1.5 };
    expect(bus.publish("quorate.v1.x", PeersMessageSchema, message)).toBe(false);
    expect(bus.counters.invalid).toBe(1);
  });

  it("reconnects to a server killed with -9, keeps its subscriptions, sends nothing old afterwards", async () => {
    const [sender, receiver] = [await connected(), await connected()];
    const got: number[] = [];
    receiver.subscribeLocal("peers", (message) => got.push(message.incarnation));
    await server.stop();
    await until("sender noticed", () => !sender.connected && !receiver.connected);
    for (let index = 0; index < 100; index++)
      expect(sender.publishLocal("peers", peersMessage(index))).toBe(false);
    await server.start();
    const startedMs = performance.now();
    await until("both back", () => sender.connected && receiver.connected);
    expect(performance.now() - startedMs).toBeLessThan(1500);
    await receiverReady(receiver);
    sender.publishLocal("peers", peersMessage(1000));
    await until("the new one", () => got.length > 0);
    expect(got).toEqual([1000]);
    expect(sender.counters.droppedAway).toBe(100);
  });

  it("connects when the server starts after it", async () => {
    await server.stop();
    const bus = makeBus(port);
    buses.push(bus);
    expect(bus.publishLocal("peers", peersMessage(1))).toBe(false);
    await server.start();
    await until("connected", () => bus.connected);
  });

  it("notices a server that is stopped though its socket stays open", async () => {
    const bus = await connected();
    server.signal("SIGSTOP");
    await until("noticed", () => !bus.connected);
    server.signal("SIGCONT");
    await until("back", () => bus.connected);
  });

  it("asks and answers across nodes; failures come back as they were thrown", async () => {
    const [asker, answerer] = [await connected(2), await connected(4)];
    answerer.serve("quorum-evaluator", "move", (body) => {
      if (body.target === 9) throw new QuorateError("NODE_UNKNOWN", "No node 9.", "Look at the list.");
      return { term: body.target };
    });
    await receiverReady(answerer);
    const answer = await asker.request("quorum-evaluator", "move", 4, { target: 8 }, 1000);
    expect(answer.term).toBe(8);
    await expect(asker.request("quorum-evaluator", "move", 4, { target: 9 }, 1000)).rejects.toMatchObject({
      code: "NODE_UNKNOWN",
      hint: "Look at the list.",
    });
    await expect(asker.request("quorum-evaluator", "move", 5, { target: 9 }, 1000)).rejects.toMatchObject({
      code: "BUS_UNREACHABLE",
    });
    await expect(asker.request("quorum-evaluator", "move", 4, { target: -1 }, 1000)).rejects.toMatchObject({
      code: "MESSAGE_INVALID",
    });
    const definition = { xml: "x".repeat(9 * 1024 ** 2), prio: null, wanted: null };
    await expect(
      asker.request("failover-actuator", "machine-define", 4, definition, 1000),
    ).rejects.toMatchObject({
      code: "MESSAGE_INVALID",
      message:
        "The request machine-define to failover-actuator of node 4 is too large for the bus, and was not sent.",
    });
    answerer.serve("quorum-evaluator", "status", () => new Promise(() => undefined));
    await receiverReady(answerer);
    await expect(asker.request("quorum-evaluator", "status", 4, {}, 50)).rejects.toMatchObject({
      code: "REQUEST_TIMEOUT",
    });
  });

  it("drops and counts whatever comes through the door without the form (fuzz)", async () => {
    const bus = await connected();
    let handled = 0;
    bus.subscribeLocal("peers", () => {
      handled += 1;
    });
    bus.serve("quorum-evaluator", "move", () => {
      handled += 1;
      return { term: 0 };
    });
    await receiverReady(bus);
    const { url, user, password } = credentials(port);
    const stranger = await connect({ servers: url, user, pass: password });
    const subjects = [
      localSubject("VMmanager", 2, "peers"),
      requestSubject("VMmanager", 2, "quorum-evaluator", "move"),
    ];
    const before = bus.counters.invalid;
    let sent = 0;
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 2000 }),
          fc.json().map((text) => Buffer.from(text)),
          fc
            .record({
              stampUs: fc.anything(),
              node: fc.anything(),
              peers: fc.anything(),
              target: fc.constant("x"),
            })
            .map((value) =>
              Buffer.from(JSON.stringify(value, (_key, part) => (typeof part === "bigint" ? 0 : part))),
            ),
        ),
        fc.constantFrom(...subjects),
        (data, subject) => {
          stranger.publish(subject, data);
          sent += 1;
        },
      ),
      { numRuns: 500 },
    );
    stranger.publish(subjects[0] ?? "", Buffer.alloc(7_000_000, 0x5b));
    sent += 1;
    await stranger.flush();
    await until("all seen", () => bus.counters.invalid - before === sent);
    expect(handled).toBe(0);
    expect(bus.connected).toBe(true);
    await stranger.close();
  });
});

/** A round trip: what was subscribed before it is known to the server. */
async function receiverReady(bus: Bus): Promise<void> {
  await bus.request("membership", "status", 4_000_000_000, {}, 1000).catch(() => undefined);
}
