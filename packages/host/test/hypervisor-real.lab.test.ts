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
import { type OwnLibvirtd, startLibvirtd } from "./own-libvirtd.ts";

const URI = "qemu:///system";
const UNREACHABLE = `<disk type='network' device='disk'><driver name='qemu' type='raw'/>
<source protocol='nbd' name='gone'><host name='127.0.0.1' port='10809'/></source><target dev='vda'/></disk>`;

describe("libvirt and QEMU", { timeout: 60_000 }, () => {
  let own: OwnLibvirtd;
  let world: HypervisorWorld;
  const drivers: Hypervisor[] = [];

  const driver = () => {
    const made = createRealHypervisor(own.context, { uri: URI, timeoutMs: 3000 });
    drivers.push(made);
    return made;
  };
  const shell = async (script: string) => (await runTool(own.insideContext, ["sh", "-c", script])).output;

  beforeAll(async () => {
    own = await startLibvirtd();
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
    };
  }, 60_000);
  afterEach(async () => {
    for (const { name } of await world.hypervisor.inspect()) await world.hypervisor.destroy(name);
  });
  afterAll(async () => {
    await Promise.all(drivers.map((each) => each.close()));
    await own.end();
  });

  hypervisorSuite(() => world);

  it("run each machine as its own user, and leave no process behind a destroyed one", async () => {
    const uuid = "00000000-0000-4000-8000-000000000001";
    const number = machineNumber(uuid);
    await world.hypervisor.start("a", prepareDefinition(definitionOf("a", 1), { number }));
    const user = async () => (await shell("ps -o uid= -C qemu-system-x86_64 || true")).trim();
    expect(await user()).toBe(String(machineUser(number)));
    await world.hypervisor.destroy("a");
    expect(await user()).toBe("");
  });
});
