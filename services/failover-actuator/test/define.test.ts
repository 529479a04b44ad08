import { DEFINITION_LIMIT_BYTES } from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  configFor,
  definitionOf,
  localDefinitionOf,
  MACHINES,
  type MachineHost,
  MachineSite,
  until,
  uuidOf,
} from "./machine-site.ts";
import { definitionDigest } from "../src/machines/record-store.ts";

let site: MachineSite;
beforeEach(async () => {
  site = new MachineSite();
  await site.start();
});
afterEach(() => site.remove());

describe("a definition that is too large", () => {
  it("is refused unread, and this process goes on with its leases", async () => {
    const host = await site.host(4, configFor([4]));
    const filled = (content: string) =>
      definitionOf("vm1", 1).replace("<devices>", `<metadata>${content}</metadata><devices>`);
    await expect(host.define("vm1", 1, filled("<a/>".repeat(5000)))).rejects.toMatchObject({
      code: "DEFINITION_BROKEN",
      message: expect.stringContaining("more than 4000 tags"),
    });
    await expect(host.define("vm1", 1, filled("ä".repeat(DEFINITION_LIMIT_BYTES / 2)))).rejects.toMatchObject(
      {
        code: "DEFINITION_BROKEN",
        message: expect.stringContaining("256 KiB at the most"),
      },
    );
    // Its form says so too: it comes no further than the bus.
    await expect(host.define("vm1", 1, filled("x".repeat(DEFINITION_LIMIT_BYTES)))).rejects.toMatchObject({
      code: "MESSAGE_INVALID",
    });
  });
});

describe("a machine under a UUID that another has", () => {
  it("is refused, however the UUID is written", async () => {
    const host = await site.host(4, configFor([4]));
    await host.define("vm1", 1);
    const bare = definitionOf("vm2", 1).replace(uuidOf(1), uuidOf(1).replaceAll("-", ""));
    await expect(host.define("vm2", 1, bare)).rejects.toMatchObject({
      code: "MACHINE_EXISTS",
      message: `vm1 of node 4 has the UUID ${uuidOf(1)}.`,
    });
  });
});

/** Nobody is master but where somebody speaks: what is defined stays where it is. */
describe("a machine on a disk that another has", () => {
  const DISK = "<target dev='vda'/>";
  /** vm2 with vm1's disk: its copied XML, with a name and a UUID of its own. */
  const cloned = (xml: string) => xml.replace("<name>vm1<", "<name>vm2<").replace(uuidOf(1), uuidOf(2));
  const ofVm1 = (node: number, disk: string) => ({
    code: "MACHINE_EXISTS",
    message: `vm1 of node ${node} has the disk ${disk}, which is vm2's vda: two machines that write on it destroy it.`,
    hint: expect.stringContaining("quorate vm forget vm1"),
  });

  it("is refused where both write, on whichever node, stopped or running", async () => {
    const config = configFor([2, 4]);
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    const xml = definitionOf("vm1", 1);
    await two.define("vm1", 1);
    await until("node 4 knows", () => four.room.inventory().length > 0);
    await expect(four.define("vm2", 2, cloned(xml))).rejects.toMatchObject(ofVm1(2, "nbd:vm1"));
    await expect(two.define("vm2", 2, cloned(xml))).rejects.toMatchObject(ofVm1(2, "nbd:vm1"));
    const shared = cloned(xml).replace(DISK, `${DISK}<shareable/>`);
    await expect(four.define("vm2", 2, shared)).rejects.toMatchObject(ofVm1(2, "nbd:vm1"));
    expect(Object.keys(four.room.machines.host.vms)).not.toContain("vm2");
    // Of another server, or only to look at: no writer's.
    await four.define("vm2", 2, cloned(xml).replace("10.99.0.1", "10.99.0.2"));
    await four.define("vm2", 2, cloned(xml).replace(DISK, `${DISK}<readonly/>`));
    await expect(four.define("vm2", 2, cloned(xml))).rejects.toMatchObject(ofVm1(2, "nbd:vm1"));
  });

  it("is refused where both are defined at once", async () => {
    const host = await site.host(4, configFor([4]));
    const xml = definitionOf("vm1", 1);
    const both = [host.define("vm1", 1), host.define("vm2", 2, cloned(xml))];
    const [first, second] = await Promise.allSettled(both);
    expect(first).toMatchObject({ status: "fulfilled" });
    expect(second).toMatchObject({ reason: ofVm1(4, "nbd:vm1") });
  });

  it("is taken in where both share it", async () => {
    const host = await site.host(4, configFor([4]));
    const xml = definitionOf("vm1", 1).replace(DISK, `${DISK}<shareable/>`);
    await host.define("vm1", 1, xml);
    await host.define("vm2", 2, cloned(xml));
  });

  it("is refused by its path on one host, and below a shared folder on all", async () => {
    const machines = { ...MACHINES, sharedMounts: ["/srv/machines"] };
    const config = configFor([2, 4], { machines });
    const two = await site.host(2, config);
    const four = await site.host(4, config);
    const own = localDefinitionOf("vm1", 1);
    const shared = own.replace("/var/lib/vm/", "/srv/machines/");
    await two.define("vm1", 1, own);
    await until("node 4 knows", () => four.room.inventory().length > 0);
    const folded = "/var/lib/other/../vm/vm1";
    await expect(two.define("vm2", 2, cloned(own).replace("/var/lib/vm/vm1", folded))).rejects.toMatchObject(
      ofVm1(2, folded),
    );
    await four.define("vm2", 2, cloned(own));
    await two.define("vm1", 1, shared);
    const digest = () => two.room.machines.host.vms["vm1"]?.record?.definition;
    await until("node 4 knows that too", () =>
      four.room.inventory().some(({ record }) => record.vm === "vm1" && record.definition === digest()),
    );
    await expect(four.define("vm2", 2, cloned(shared))).rejects.toMatchObject(ofVm1(2, "/srv/machines/vm1"));
  });

  it("is refused while that one still runs on it, although its next start would not", async () => {
    const host = await site.host(4, configFor([4]));
    host.speak({});
    const xml = definitionOf("vm1", 1);
    await host.define("vm1", 1);
    await until("it runs", () => host.isOpen(1));
    await host.define("vm1", 1, xml.replace("name='vm1'", "name='new'"));
    await expect(host.define("vm2", 2, cloned(xml))).rejects.toMatchObject(ofVm1(4, "nbd:vm1"));
  });

  it("is not taken in before that one is gone", async () => {
    const host = await site.host(4, configFor([4], { machines: { ...MACHINES, shutdownGraceMs: 1000 } }));
    host.speak({});
    const xml = definitionOf("deaf1", 1);
    const clone = xml.replace("<name>deaf1<", "<name>vm2<").replace(uuidOf(1), uuidOf(2));
    await host.define("deaf1", 1);
    await until("it runs", () => host.isOpen(1));
    await host.wish("deaf1", "undefined");
    await expect(host.define("vm2", 2, clone)).rejects.toMatchObject({
      code: "MACHINE_BUSY",
      message: expect.stringContaining("is being given up"),
    });
    await until("it is over", () => host.room.machines.host.vms["deaf1"]?.saved?.released != null);
    await host.define("vm2", 2, clone);
  });
});

describe("machines of one name that are defined on several nodes at once", () => {
  const NODES = [2, 4, 8];

  async function definedAtOnce(speaking: boolean) {
    const hosts: MachineHost[] = [];
    for (const id of NODES) hosts.push(await site.host(id, configFor(NODES)));
    if (speaking) for (const host of hosts) host.speak({ members: NODES, leader: 4 });
    const everybodyHeard = () => hosts.every(({ room }) => room.reports.length === NODES.length);
    await until("everybody has heard of everybody", everybodyHeard);
    const xmls = hosts.map(({ id }) => definitionOf("vm1", id));
    const ends = await Promise.allSettled(
      hosts.map((host, index) => host.define("vm1", host.id, xmls[index])),
    );
    const digests = xmls.map((xml) => definitionDigest(xml));
    return { hosts, ends, digests };
  }

  it("are one: the lower node's, where no master decides; the others are told, and keep nothing", async () => {
    const { hosts, ends, digests } = await definedAtOnce(false);
    expect(ends.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    for (const end of ends.slice(1)) {
      expect(end).toMatchObject({
        reason: { code: "MACHINE_EXISTS", message: expect.stringContaining("on node 2 at the same moment") },
      });
    }
    for (const host of hosts.slice(1)) {
      await until("it is taken back", () => host.room.machines.host.vms["vm1"]?.saved == null);
      await until("all know one", () => host.room.inventory()[0]?.record.definition === digests[0]);
    }
  });

  it("are one with a master too, and whoever was told that his counts is right", async () => {
    const { hosts, ends, digests } = await definedAtOnce(true);
    const counting = ends.flatMap(({ status }, index) => (status === "fulfilled" ? digests[index] : []));
    expect(counting).toHaveLength(1);
    await until("it runs", () => hosts.some((host) => host.state("vm1") === "running"));
    const [two] = hosts;
    await until("all know that one", () => two?.room.inventory()[0]?.record.definition === counting[0]);
  });
});
