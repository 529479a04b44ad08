import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  createRealHypervisor,
  type Hypervisor,
  machineNumber,
  machineUser,
  prepareDefinition,
} from "../src/index.ts";
import { runTool } from "../src/tools/run-tool.ts";
import { definitionOf, hypervisorSuite, type HypervisorWorld } from "./hypervisor-suite.ts";
import { connect, type OwnLibvirtd, startLibvirtd } from "./own-libvirtd.ts";

const URI = "qemu:///system";
const AWAY = "10.77.0.2";
const UNREACHABLE = `<disk type='network' device='disk'><driver name='qemu' type='raw'/>
<source protocol='nbd' name='gone'><host name='127.0.0.1' port='10809'/></source><target dev='vda'/></disk>`;

const UUID = "00000000-0000-4000-8000-000000000001";
/**
 * A boot sector that writes to its disk about 15 times a second by the BIOS, and says "." on its serial line for what
 * was taken and "E" for what was refused.
 */
const WRITER = bootSector(
  "31c08ed88ec08ed0bc007c88160082b80103bb007eb9020030f68a160082cd13b0457206ff06007eb02ebaf803eeb486b9010031d2cd15ebd6",
);

function bootSector(code: string): string {
  const bytes = Buffer.alloc(512);
  bytes.write(code, "hex");
  bytes.writeUInt16LE(0xaa55, 510);
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

describe("libvirt and QEMU", { timeout: 60_000 }, () => {
  let own: OwnLibvirtd;
  let away: OwnLibvirtd;
  let world: HypervisorWorld;
  const drivers: Hypervisor[] = [];

  const driverOf = (host: OwnLibvirtd) => {
    const made = createRealHypervisor(host.context, { uri: URI, timeoutMs: 3000 });
    drivers.push(made);
    return made;
  };
  const driver = () => driverOf(own);
  const shell = async (script: string) => (await runTool(own.insideContext, ["sh", "-c", script])).output;

  beforeAll(async () => {
    [own, away] = await Promise.all([startLibvirtd(), startLibvirtd()]);
    await connect(own, away);
    world = {
      hypervisor: driver(),
      another: driver,
      keep: async (name, xml) => {
        const path = join(tmpdir(), `${name}-${process.pid}.xml`);
        writeFileSync(path, xml);
        await shell(`virsh -q -c ${URI} define ${path} && virsh -q -c ${URI} autostart ${name}; rm ${path}`);
      },
      endGuest: async (name) => void (await shell(`kill -9 $(cat /run/libvirt/qemu/${name}.pid)`)),
      hangDaemon: () => process.kill(own.libvirtdPid, "SIGSTOP"),
      resumeDaemon: () => process.kill(own.libvirtdPid, "SIGCONT"),
      unreachableDisk: { xml: UNREACHABLE, source: "nbd:gone" },
      target: { address: AWAY, port: 16_509 },
      there: () => driverOf(away),
    };
  }, 60_000);
  afterEach(async () => {
    for (const host of [world.hypervisor, world.there()]) {
      for (const { name } of await host.inspect()) await host.destroy(name);
    }
  });
  afterAll(async () => {
    await Promise.all(drivers.map((each) => each.close()));
    await Promise.all([own.end(), away.end()]);
  });

  hypervisorSuite(() => world);

  it("run each machine as its own user, and leave no process behind a destroyed one", async () => {
    const number = machineNumber(UUID);
    await world.hypervisor.start("a", prepareDefinition(definitionOf("a", 1), { number }));
    const user = async () => (await shell("ps -o uid= -C qemu-system-x86_64 || true")).trim();
    expect(await user()).toBe(String(machineUser(number)));
    await world.hypervisor.destroy("a");
    expect(await user()).toBe("");
  });

  it("tell a libvirtd that is not there from a machine that is not", async () => {
    const nowhere = createRealHypervisor(own.context, { uri: `${URI}?socket=/run/nobody`, timeoutMs: 3000 });
    const answer = await nowhere.inspect().catch((error: unknown) => (error as { code: string }).code);
    expect(answer).toBe("HYPERVISOR_DOWN");
    await nowhere.close();
  });

  it("a guest whose connections were reset while it was paused goes on without having seen an error", async () => {
    const { hypervisor } = world;
    await shell(`
      truncate -s 16M /run/disk.raw
      printf '${WRITER}' | dd of=/run/disk.raw conv=notrunc status=none
      : > /run/said; chmod 666 /run/said
      setsid qemu-nbd --persistent --shared=0 --format=raw --bind=127.0.0.1 --port=10810 --export-name=d \
        /run/disk.raw </dev/null >/dev/null 2>&1 &
      while ! ss -Hltn | grep -q :10810; do sleep 0.02; done`);
    const disk = `${UNREACHABLE.replace("10809", "10810").replace("gone", "d")}
      <serial type='file'><source path='/run/said' append='on'/></serial>`;
    const plain = definitionOf("a", 1, disk).replace("</type>", "</type><boot dev='hd'/>");
    let changed: () => void = () => {};
    hypervisor.onChange(() => changed());
    await hypervisor.start("a", prepareDefinition(plain, { number: machineNumber(UUID) }));
    const said = async () => await shell("cat /run/said");
    await expect.poll(said, { timeout: 20_000 }).toContain("...");
    await hypervisor.pause("a");
    await shell("ss -K dst 127.0.0.1 dport = 10810");
    const before = (await said()).length;
    // Paused again by itself, it is resumed again; each time by the event.
    const resumePaused = async (): Promise<void> => {
      const [machine] = await hypervisor.inspect();
      if (machine?.state === "paused") await hypervisor.resume("a");
    };
    changed = () => void resumePaused();
    await hypervisor.resume("a");
    await expect.poll(async () => (await said()).length, { timeout: 20_000 }).toBeGreaterThan(before + 10);
    expect(await said()).not.toContain("E");
    changed = () => {};
  });
});
