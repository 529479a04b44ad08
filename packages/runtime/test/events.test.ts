import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  EVENT_DOMAINS,
  EVENTS,
  type EventEnvelope,
  EventEnvelopeSchema,
  eventDataSchema,
  eventSubject,
} from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Bus, createLogger, EventPublisher, SharedSequence } from "../src/index.ts";
import { freePort } from "./free-port.ts";
import { makeBus, NatsFixture, plainConf, temporaryFolder, until } from "./nats-fixture.ts";

let server: NatsFixture;
let folder: string;
let buses: Bus[];
let port: number;

beforeEach(async () => {
  port = await freePort();
  server = new NatsFixture(plainConf(port));
  folder = temporaryFolder();
  buses = [];
});
afterEach(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await server.remove();
  rmSync(folder, { recursive: true, force: true });
});

const logger = createLogger({ service: "test", node: 2, level: "silent" });

it("a full run directory ends no service: numbers go on", () => {
  const sequence = new SharedSequence("/dev/full");
  expect([sequence.next(), sequence.next(), sequence.next()]).toEqual([1, 2, 3]);
  sequence.close();
});

describe("events", () => {
  it("are CloudEvents of the registered form; what waits for the bus is sent when it comes", async () => {
    const sender = makeBus(port);
    buses.push(sender);
    const publisher = new EventPublisher({
      bus: sender,
      service: "quorum-evaluator",
      runDir: folder,
      logger,
    });
    const cause = publisher.publish("membership", "peer_state_changed", {
      old: "joined",
      new: "failed",
      reason: { code: "silence", message: "Node 4 was not heard for 1000 ms.", facts: { silenceMs: 1000 } },
      facts: { peer: 4 },
    });
    const reader = makeBus(port);
    buses.push(reader);
    const got: EventEnvelope[] = [];
    for (const domain of EVENT_DOMAINS) {
      reader.subscribe(eventSubject("VMmanager", "*", domain, "*"), EventEnvelopeSchema, (event) =>
        got.push(event),
      );
    }
    await server.start();
    await until("both connected", () => sender.connected && reader.connected);
    // Connected is not yet subscribed: a round trip on the reader's own connection is.
    await reader.barrier();
    publisher.publish("quorum", "role_changed", {
      old: "slave",
      new: "master",
      reason: { code: "elected", message: "Two of three voters granted." },
      facts: { term: 3 },
      causeId: cause,
    });
    await until("the second", () => got.some((event) => event.type === "quorate.v1.quorum.role_changed"));
    const last = got.at(-1);
    expect(last).toMatchObject({
      specversion: "1.0",
      source: "/quorate/VMmanager/2/quorum-evaluator",
      nodeid: 2,
      sequence: 2,
      causeid: cause,
      data: { old: "slave", new: "master", reason: "elected", facts: { term: 3 } },
    });
    for (const event of got) expect(eventDataSchema(event.type)?.safeParse(event.data).success).toBe(true);
  });

  it("of a form that is not registered are not published", () => {
    const bus = makeBus(port);
    buses.push(bus);
    const publisher = new EventPublisher({ bus, service: "x", runDir: folder, logger });
    expect(() =>
      publisher.publish("quorum", "role_changed", {
        old: "slave",
        new: "king" as "master",
        reason: { code: "elected", message: "" },
        facts: { term: 3 },
      }),
    ).toThrow(/king|Invalid/);
    expect(eventDataSchema("quorate.v1.quorum.constructor")).toBeNull();
    expect(eventDataSchema("quorate.v1.toString.x")).toBeNull();
    expect(Object.keys(EVENTS).sort()).toEqual([...EVENT_DOMAINS].sort());
  });

  it("draw their numbers from one sequence over all processes of the node", async () => {
    const script = join(folder, "draw.ts");
    const kit = join(import.meta.dirname, "../src/event-publisher.ts");
    writeFileSync(
      script,
      `import { SharedSequence } from ${JSON.stringify(kit)};
       const sequence = new SharedSequence(process.argv[2]);
       const drawn = Array.from({ length: 300 }, () => sequence.next());
       process.send(drawn);`,
    );
    const path = join(folder, "event-sequence");
    const children = [1, 2, 3].map(() => fork(script, [path]));
    const drawn = await Promise.all(
      children.map(async (child) => ((await once(child, "message")) as [number[]])[0]),
    );
    const all = drawn.flat().sort((left, right) => left - right);
    expect(all).toEqual(Array.from({ length: 900 }, (_value, index) => index + 1));
    for (const list of drawn) expect(list).toEqual([...list].sort((left, right) => left - right));
    expect(readFileSync(path)).toHaveLength(900);
  });
});
