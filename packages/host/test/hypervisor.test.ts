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
import {
  domainJobsCommand,
  type DomainProcess,
  parseDomainJobs,
  parseDomainStates,
} from "../src/hypervisor/domain-states.ts";
import { Moves } from "../src/hypervisor/moves.ts";
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
          writing: "alone",
        },
      ],
      nics: [{ kind: "bridge", source: "vmbr0", gated: true }],
      obstacles: [],
    });
  });

  it("has disks below a mount that all hosts share, which are everywhere and which no gate holds", () => {
    const disk = (file: string) =>
      `<disk type='file' device='disk'><source file='${file}'/><target dev='vdb'/></disk>`;
    const read = (file: string) => {
      const { disks, obstacles } = readDefinition(definitionOf("a", 1, disk(file)), "f", ["/srv/machines"]);
      return { kind: disks[0]?.kind, obstacles };
    };
    expect(read("/srv/machines/a/disk.raw")).toEqual({
      kind: "shared-mount",
      obstacles: [
        "disk vdb is reached through this host's kernel (/srv/machines/a/disk.raw), which no gate of one machine holds",
      ],
    });
    for (const path of ["/srv/machines", "/srv/machines2/a.raw", "/srv/machines/../own/a.raw"])
      expect(read(path).kind, path).toBe("local");
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
    expect(codeOf(() => readDefinition(plain.replace("00000000-", ""), "f"))).toMatch(/" is no UUID/);
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

  it("is started so that its guest never sees an error of the network, unless it says how it wants it", () => {
    const disk = (driver: string) => UNREACHABLE.replace("<source", `${driver}<source`);
    const started = (driver: string) => prepareDefinition(definitionOf("a", 1, disk(driver)), { number: 1 });
    const stop = 'error_policy="stop" rerror_policy="stop"/>';
    expect(started("")).toContain(`<driver name="qemu" ${stop}`);
    expect(started("<driver name='qemu' type='raw'/>")).toContain(`<driver name="qemu" type="raw" ${stop}`);
    expect(started("<driver name='qemu' error_policy='report'/>")).toContain(
      '<driver name="qemu" error_policy="report" rerror_policy="stop"/>',
    );
  });

  it("names the disks whose connections it does not name", () => {
    const ceph = UNREACHABLE.replace("nbd", "rbd");
    const nowhere = "<disk type='network'><source protocol='rbd' name='p/i'/><target dev='vdb'/></disk>";
    const based = UNREACHABLE.replace("vda", "vdc").replace(
      "<target",
      "<backingStore type='file'><source file='/base'/></backingStore><target",
    );
    expect(readDefinition(definitionOf("a", 1, ceph + nowhere + based), "f").obstacles).toEqual([
      "disk vda (rbd:gone) has connections that its definition does not name",
      "disk vdb (rbd:p/i) has connections that its definition does not name",
      "disk vdc stands on another image",
    ]);
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

  it("of jobs: who leaves, who arrives, who has arrived", async () => {
    const moved =
      "Job type:         Completed\nOperation:        Incoming migration\nTime elapsed:     2670         ms\n";
    const leaves = "Job type:         Unbounded\nOperation:        Outgoing migration\n";
    const none = "Job type:         None\n";
    const text = `<machine>a<now>${leaves}<before>${none}<machine>b<now><machine>c<now><before>${moved}<machine>d<now>${none}<before>${none}own1\n`;
    expect([...parseDomainJobs(text)]).toEqual([
      ["a", { leaving: true, arriving: false, arrived: false }],
      ["b", { leaving: false, arriving: true, arrived: false }],
      ["c", { leaving: false, arriving: true, arrived: true }],
      ["d", { leaving: false, arriving: false, arrived: false }],
    ]);
    expect(domainJobsCommand([{ name: "c", process: "paused" }])).toBe(
      "echo <machine>c<now>; echo <before>; domjobinfo 'c' --completed --keep-completed; hostname",
    );
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

describe("who is on the move", () => {
  const none = { leaving: false, arriving: false, arrived: false };
  const nobody = async () => new Map();
  const asked = (jobs: Partial<typeof none>) => async (domains: readonly DomainProcess[]) =>
    new Map(domains.map(({ name }) => [name, { ...none, ...jobs }]));
  const stateIn = async (
    moves: Moves,
    process: DomainProcess["process"],
    ask: Parameters<Moves["judge"]>[1],
  ) => (await moves.judge([{ name: "a", process }], ask)).map(({ state }) => state);

  it("is asked of libvirt once in a life for those that run, and as long as one leaves", async () => {
    const moves = new Moves();
    expect(await stateIn(moves, "running", asked({ leaving: true }))).toEqual(["migrating"]);
    expect(await stateIn(moves, "running", asked({}))).toEqual(["running"]);
    const never = () => Promise.reject(new Error("asked"));
    expect(await stateIn(moves, "running", never)).toEqual(["running"]);
  });

  it("hides nobody when one whose QEMU hangs keeps libvirt from an answer", async () => {
    const moves = new Moves();
    expect(await stateIn(moves, "running", () => Promise.reject(new Error("hangs")))).toEqual(["running"]);
  });

  it("does not forget that a copy came by a move when libvirt does, until it runs", async () => {
    const moves = new Moves();
    expect(await stateIn(moves, "starting", nobody)).toEqual(["incoming"]);
    expect(await stateIn(moves, "between", asked({ arriving: true }))).toEqual(["incoming"]);
    expect(await stateIn(moves, "paused", asked({}))).toEqual(["incoming-complete"]);
    expect(await stateIn(moves, "running", asked({}))).toEqual(["running"]);
    expect(await stateIn(moves, "paused", asked({}))).toEqual(["paused"]);
  });

  it("is known of what this process moves itself, and doubted after a failure", async () => {
    const moves = new Moves();
    await stateIn(moves, "running", asked({}));
    const failed = moves.carry("a", async () => {
      expect(await stateIn(moves, "running", nobody)).toEqual(["migrating"]);
      expect(await stateIn(moves, "between", nobody)).toEqual(["moved-out"]);
      throw new Error("libvirtd is gone");
    });
    await expect(failed).rejects.toThrow("gone");
    expect(await stateIn(moves, "running", asked({ leaving: true }))).toEqual(["migrating"]);
  });
});
