import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createFenceAgent } from "@quorate/host";
import { AgentFixture } from "@quorate/host/test/fence-agent";
import { monotonicUs } from "@quorate/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { switchOff } from "../src/machines/switch-off.ts";
import { bereft } from "./bereft.ts";
import { MachineSite, until } from "./machine-site.ts";

let site: MachineSite;
let fixture: AgentFixture;
beforeEach(async () => {
  site = new MachineSite();
  await site.start();
  const folder = join(site.folder, "agent");
  mkdirSync(folder);
  fixture = new AgentFixture(folder);
});
afterEach(() => site.remove());

const { signal } = new AbortController();
const always = { limitMs: 300, signal, isWanted: () => true };
const device = (parameters: Record<string, string> = {}) =>
  createFenceAgent({ nowUs: monotonicUs }, fixture.config(2, parameters));
const actions = () => fixture.calls().map((call) => call.split(" ")[0]);

describe("a host that is switched off", () => {
  it("is asked for its power before and after", async () => {
    await switchOff(device(), always);
    expect(actions()).toEqual(["status", "off", "status"]);
    await switchOff(device(), always);
    expect(actions().slice(3)).toEqual(["status"]);
  });

  it("is left alone when nobody wants it any more by then", async () => {
    const asked = switchOff(device(), { ...always, isWanted: () => false });
    await expect(asked).rejects.toMatchObject({ code: "POWER_STILL_ON" });
    expect(actions()).toEqual(["status"]);
    expect(existsSync(fixture.plug)).toBe(true);
  });

  it("is not off because the device took the order, nor because it does not answer", async () => {
    await expect(switchOff(device({ trouble: "stuck" }), always)).rejects.toThrow("says that the host is on");
    await expect(switchOff(device({ trouble: "deaf" }), always)).rejects.toMatchObject({
      code: "TOOL_FAILED",
    });
    expect(actions().filter((action) => action === "off")).toHaveLength(1);
  });
});

describe("the master", () => {
  it("has the host switched off for which a machine waits, and starts the machine", async () => {
    const config = { powerDevices: [fixture.config(2)] };
    const { four } = await bereft(site, config, "VM_WAITS_FOR_DEVICE");
    await until("it runs on the other node", () => four.state("vm1") === "running");
    expect(existsSync(fixture.plug)).toBe(false);
    expect(actions()).toEqual(["status", "off", "status"]);
    const log = () => four.logged.join("\n");
    await until("it is told", () => log().includes("HOST_OFF_PROVED"));
    expect(log()).toContain("HOST_OFF_ORDERED");
    expect(log()).not.toContain("hunter2");
    expect((await four.ask()).offProofs).toMatchObject([{ node: 2, witness: "device" }]);
  });

  it("says what is wrong with a device, before and when it is needed, and goes on asking", async () => {
    const config = {
      powerDevices: [
        fixture.config(2, { trouble: "deaf" }),
        { ...fixture.config(4), agent: "fence_nowhere" },
      ],
    };
    const { four } = await bereft(site, config, "VM_WAITS_FOR_DEVICE");
    await until("it is told", () => four.logged.join("\n").includes("HOST_OFF_FAILED"));
    const { offAttempts, problems, blocked } = await four.ask();
    expect(offAttempts).toMatchObject([
      { node: 2, failures: 1, why: expect.stringContaining("cannot log in") },
    ]);
    expect(problems.map(({ code, message }) => `${code} ${message}`)).toEqual([
      expect.stringContaining("TOOL_MISSING The power device of node 4 cannot be used from here"),
    ]);
    await until(
      "it is said",
      () => four.room.machines.relocator.blocked["vm1"]?.message.includes("cannot log in") === true,
    );
    expect(blocked.map(({ vm }) => vm)).toEqual(["vm1"]);
    // Repaired in place: the next attempt uses it.
    writeFileSync(fixture.agent, "#!/bin/sh\necho Status: OFF\nexit 2\n");
    await until("it runs on the other node", () => four.state("vm1") === "running");
  });
});
