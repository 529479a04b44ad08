import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { STORAGE_PROBE_USER } from "../src/hypervisor/machine-number.ts";
import type { StorageEndpoint } from "../src/hypervisor/hypervisor.ts";
import { createFakeStorageProbe, FakeStorages } from "../src/storage-probe/fake-storage-probe.ts";
import { createRealStorageProbe } from "../src/storage-probe/real-storage-probe.ts";
import type { StorageProbe } from "../src/storage-probe/storage-probe.ts";
import { monotonicNowUs } from "../src/tools/host-context.ts";
import { ALPHA, RealMachineWorld, STORAGE } from "./machine-gate-world.ts";

const [STORAGE4 = { address: "", port: 0 }, STORAGE6 = { address: "", port: 0 }] = STORAGE;
const TIMEOUT_MS = 300;

interface ProbeWorld {
  readonly probe: StorageProbe;
  readonly refusing: StorageEndpoint;
  readonly silent: StorageEndpoint;
}

/** What every probe promises; the fake is trusted because it passes the same. */
function probeSuite(world: () => ProbeWorld): void {
  it("tells a storage that answers from one that refuses and one that is silent, all at once", async () => {
    const { probe, refusing, silent } = world();
    const looks = [STORAGE4, STORAGE6, refusing, silent].map((each) => probe.look(each, TIMEOUT_MS));
    expect((await Promise.all(looks)).map(({ kind }) => kind)).toEqual([
      "answers",
      "answers",
      "refused",
      "silent",
    ]);
  });

  it("says of a silent one how long it waited", async () => {
    const { probe, silent } = world();
    const beganUs = monotonicNowUs();
    expect(await probe.look(silent, TIMEOUT_MS)).toMatchObject({
      message: expect.stringMatching(/300 ms|host/),
    });
    expect(monotonicNowUs() - beganUs).toBeLessThan(5_000_000);
  });
}

describe("the fake probe", () => {
  const storages = new FakeStorages();
  storages.refusing.add("10.9.0.2:1");
  storages.silent.add("10.9.0.99:10809");
  probeSuite(() => ({
    probe: createFakeStorageProbe(storages),
    refusing: { address: "10.9.0.2", port: 1 },
    silent: { address: "10.9.0.99", port: 10_809 },
  }));
});

describe("the probe on this kernel", () => {
  let world: RealMachineWorld;
  let probe: StorageProbe;
  beforeAll(async () => {
    world = new RealMachineWorld();
    await world.server();
    world.cable.inPeer("nft", "add table inet seen");
    world.cable.inPeer("nft", "add chain inet seen input { type filter hook input priority 0 ; }");
    world.cable.inPeer("nft", "add rule inet seen input tcp dport 10810 drop");
  });
  beforeEach(() => {
    probe = createRealStorageProbe(world.cable.context);
  });
  afterEach(() => probe.close());
  afterAll(() => world.end());

  const REFUSING = { address: "10.9.0.2", port: 10_811 };
  const SILENT = { address: "10.9.0.2", port: 10_810 };
  const open = () => ({ probe, refusing: REFUSING, silent: SILENT });

  describe("without a gate", () => {
    probeSuite(open);
  });

  describe("past a shut gate", () => {
    beforeAll(async () => {
      // More than an opening, and acknowledgements: from now on.
      const rule = "add rule inet seen input tcp dport 10809";
      world.cable.inPeer("nft", `${rule} meta length > 80 counter`);
      world.cable.inPeer("nft", `${rule} tcp flags ack / fin,syn,rst,ack counter`);
      await world.gate().load([ALPHA], [...STORAGE, REFUSING, SILENT]);
    });

    probeSuite(open);

    it("sends nothing but what opens and what aborts, and leaves no connection at either end", async () => {
      expect(await probe.look(STORAGE4, TIMEOUT_MS)).toEqual({ kind: "answers" });
      expect(await probe.look(STORAGE6, TIMEOUT_MS)).toEqual({ kind: "answers" });
      const seen = world.cable.inPeer("nft", "list", "table", "inet", "seen");
      expect(seen.match(/counter packets 0 /g)).toHaveLength(2);
      const left = ["-Htn", "state", "connected"];
      expect(world.cable.inPeer("ss", ...left)).toBe("");
      expect(world.cable.inHost("ss", ...left)).toBe("");
      // Not by its name, but by the kernel: whoever is this user cannot say a word to a storage.
      expect(await world.connects(STORAGE_PROBE_USER, REFUSING)).toBe(false);
      const script = `exec 3<>/dev/tcp/${STORAGE4.address}/${STORAGE4.port}; echo word >&3; sleep 0.3`;
      world.cable.inHost("setpriv", `--reuid=${STORAGE_PROBE_USER}`, "--clear-groups", "bash", "-c", script);
      expect(world.cable.inPeer("nft", "list", "table", "inet", "seen")).toBe(seen);
    });

    it("opens the gate to nobody else", async () => {
      expect(await world.connects(0, STORAGE4)).toBe(false);
      expect(await world.connects(STORAGE_PROBE_USER + 1, STORAGE4)).toBe(false);
    });
  });

  it("goes on after its process was killed", async () => {
    expect(await probe.look(STORAGE4, TIMEOUT_MS)).toEqual({ kind: "answers" });
    const look = probe.look(SILENT, 5_000);
    await probe.close();
    await expect(look).rejects.toMatchObject({ code: "TOOL_FAILED" });
    expect(await probe.look(STORAGE4, TIMEOUT_MS)).toEqual({ kind: "answers" });
  });

  it("does not look as anybody else when it cannot become its user", async () => {
    const commandPrefix = ["setpriv", "--reuid=65534", "--clear-groups", "--no-new-privs", "--inh-caps=-all"];
    const powerless = createRealStorageProbe({ nowUs: monotonicNowUs, commandPrefix });
    await expect(powerless.look(STORAGE4, TIMEOUT_MS)).rejects.toMatchObject({ code: "NOT_ROOT" });
    await powerless.close();
  });
});
