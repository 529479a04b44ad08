import { beforeEach, describe, expect, it } from "vitest";
import {
  createFakeHypervisor,
  FakeMachines,
  machineNumber,
  machineUser,
  prepareDefinition,
  readDefinition,
  tapName,
} from "../src/index.ts";
import { domainJobsCommand, parseDomainJobs, parseDomainStates } from "../src/hypervisor/domain-states.ts";
import { meaningOf } from "../src/hypervisor/virsh.ts";
import { definitionOf, hypervisorSuite, type HypervisorWorld } from "./hypervisor-suite.ts";

const UNREACHABLE = `<disk type='network' device='disk'><source protocol='nbd' name='gone'>
<host name='127.0.0.1' port='10809'/></source><target dev='vda'/></disk>`;

describe("the fake hypervisor", () => {
  let world: HypervisorWorld;
  beforeEach(() => {
    const machines = new FakeMachines();
    const others = new FakeMachines();
    machines.others.set("10.77.0.2", others);
    machines.unreachable.add("nbd:gone");
    world = {
      hypervisor: createFakeHypervisor(machines),
      another: () => createFakeHypervisor(machines),
      keep: async (name, xml) => void machines.kept.set(name, { xml, autostart: true }),
      endGuest: async (name) => machines.end(name),
      hangDaemon: () => {
        machines.isDown = true;
      },
      resumeDaemon: () => {
        machines.isDown = false;
      },
      unreachableDisk: { xml: UNREACHABLE, source: "nbd:gone" },
      target: { address: "10.77.0.2", port: 16_509 },
      there: () => createFakeHypervisor(others),
    };
  });
  hypervisorSuite(() => world);
});

const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code} ${message}`;
  }
  return "done";
};

describe("a definition", () => {
  const plain = definitionOf("vm1", 1, UNREACHABLE);

  it("is read as far as we care", () => {
    expect(readDefinition(plain, "f")).toEqual({
      name: "vm1",
      uuid: "00000000-0000-4000-8000-000000000001",
      memoryMib: 32,
      vcpus: 1,
      disks: [
        {
          target: "vda",
          kind: "network",
          source: "nbd:gone",
          endpoints: [{ address: "127.0.0.1", port: 10809 }],
        },
      ],
      nics: [{ kind: "bridge", source: "vmbr0", gated: true }],
      obstacles: [],
    });
  });

  it("names what no lease of a machine fences", () => {
    const local = "<disk type='file' device='disk'><source file='/a.img'/><target dev='vdb'/></disk>";
    const direct = "<interface type='direct'><source dev='eth0'/></interface>";
    const virtualSwitch =
      "<interface type='bridge'><source bridge='ovs0'/><virtualport type='openvswitch'/></interface>";
    const device = "<hostdev mode='subsystem' type='pci'/>";
    const cdrom = "<disk type='file' device='cdrom'><source file='/cd.iso'/><target dev='sda'/></disk>";
    const { obstacles } = readDefinition(
      definitionOf("a", 1, local + direct + virtualSwitch + device + cdrom),
      "f",
    );
    expect(obstacles).toEqual([
      "disk vdb lies on this host alone (/a.img)",
      "the interface of type direct on eth0 passes by the gate",
      "the interface of type bridge (openvswitch) on ovs0 passes by the gate",
      "it has 1 <hostdev> of this host",
    ]);
  });

  it("is refused with the place and what to do", () => {
    expect(codeOf(() => readDefinition("<domain>\n<name>x</nam></domain>", "f.xml"))).toMatch(
      /^DEFINITION_BROKEN f\.xml:2:\d+: /,
    );
    expect(codeOf(() => readDefinition("no XML", "f.xml"))).toMatch(/^DEFINITION_BROKEN f\.xml:1:1: /);
    expect(codeOf(() => readDefinition("<network/>", "f.xml"))).toMatch(/no <domain>/);
    expect(codeOf(() => readDefinition(plain.replace("vm1", "v m"), "f"))).toMatch(/"v m" cannot be/);
    expect(codeOf(() => readDefinition(plain.replace("00000000-", ""), "f"))).toMatch(/vm1 has no UUID/);
    expect(codeOf(() => readDefinition(plain.replace("MiB", "apples"), "f"))).toMatch(/no memory/);
    expect(codeOf(() => readDefinition(plain.replace("127.0.0.1", "storage.example"), "f"))).toMatch(
      /"storage\.example" cannot be held by a gate/,
    );
  });

  it("is started as a user of its own, on taps that the gate knows, whatever it said before", () => {
    const own = "<seclabel type='static' model='dac'><label>+0:+0</label></seclabel></domain>";
    const number = machineNumber("00000000-0000-4000-8000-000000000001");
    const xml = prepareDefinition(plain.replace("</domain>", own), { number });
    expect(xml.match(/<seclabel/g)).toHaveLength(1);
    expect(xml).toContain(`<label>+${machineUser(number)}:+${machineUser(number)}</label>`);
    expect(xml).toContain(`<target dev="${tapName(number, 0)}"/>`);
    expect(tapName(0xfffffff, 9)).toHaveLength(11);
    expect(readDefinition(xml, "f")).toEqual(readDefinition(plain, "f"));
  });
});

describe("what libvirt says", () => {
  it("of states: no process, no machine; what a migration left is told from what was paused", () => {
    const text = ["a 1 1", "b 3 1", "c 3 2", "d 3 11", "e 5 1", "f 4 1", "g 6 1"]
      .map((each) => each.split(" "))
      .map(([name, state, reason]) => `Domain: '${name}'\n  state.state=${state}\n  state.reason=${reason}\n`)
      .join("\n");
    expect(parseDomainStates(text).map(({ name, process }) => `${name} ${process}`)).toEqual([
      "a running",
      "b paused",
      "c between",
      "d starting",
      "f running",
      "g paused",
    ]);
  });

  it("of failures becomes a code and a remedy, in its own words", () => {
    const words =
      "failed to connect to the hypervisor\nFailed to connect socket to '/run/libvirt/libvirt-sock'";
    expect(meaningOf("list", words).code).toBe("HYPERVISOR_DOWN");
    expect(meaningOf("create", "cannot set up guest memory 'pc.ram': Cannot allocate memory").code).toBe(
      "NO_MEMORY",
    );
    const other = meaningOf("create", "something new");
    expect(other.code).toBe("TOOL_FAILED");
    expect(other.message).toContain("something new");
  });
});
