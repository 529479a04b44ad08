import { afterEach, describe, expect, it } from "vitest";
import {
  BoottimeJumpDetector,
  bootId,
  type HealthServer,
  Metrics,
  monotonicUs,
  RateLimit,
  startHealthServer,
} from "../src/index.ts";

const open: HealthServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

describe("health server", () => {
  it("answers the four questions; unready is 503 with the reason", async () => {
    const metrics = new Metrics("membership", 2);
    metrics.counter("quorate_datagrams_total", "Datagrams", ["result"]).inc({ result: "good" });
    let ready = false;
    const server = await startHealthServer({
      service: "membership",
      port: 0,
      metrics,
      readiness: () => ({ ok: ready, message: ready ? "serving" : "the bus is away" }),
    });
    open.push(server);
    const get = async (path: string) => fetch(`http://127.0.0.1:${server.port}${path}`);
    expect((await get("/livez")).status).toBe(200);
    const unready = await get("/readyz");
    expect(unready.status).toBe(503);
    expect(await unready.json()).toEqual({ ok: false, message: "the bus is away" });
    ready = true;
    expect((await get("/readyz")).status).toBe(200);
    expect(await (await get("/version")).json()).toMatchObject({ service: "membership" });
    const text = await (await get("/metrics")).text();
    expect(text).toContain('quorate_datagrams_total{result="good",service="membership",node="2"} 1');
    expect(text).toContain("process_resident_memory_bytes");
  });

  it("names a port that is taken, and the remedy", async () => {
    const options = {
      service: "membership",
      metrics: new Metrics("membership", 2),
      readiness: () => ({ ok: true, message: "" }),
    };
    const first = await startHealthServer({ ...options, port: 0 });
    open.push(first);
    await expect(startHealthServer({ ...options, port: first.port })).rejects.toMatchObject({
      code: "PORT_TAKEN",
      message: expect.stringContaining(String(first.port)),
      hint: expect.stringContaining("ss -ltnp"),
    });
  });
});

describe("clock", () => {
  it("is whole microseconds and never goes back; the boot has a name", () => {
    const first = monotonicUs();
    const second = monotonicUs();
    expect(Number.isSafeInteger(first)).toBe(true);
    expect(second).toBeGreaterThanOrEqual(first);
    expect(bootId()).toMatch(/^[0-9a-f]{16}$/);
  });

  it("sees no pause of the kernel where there was none", () => {
    const detector = new BoottimeJumpDetector();
    for (let index = 0; index < 200; index++) expect(detector.check()).toBe(0);
  });

  it("lets through one in a while and counts the rest", () => {
    const limit = new RateLimit(60_000);
    expect(limit.pass()).toBe(0);
    expect(limit.pass()).toBeNull();
    expect(limit.pass()).toBeNull();
  });
});
