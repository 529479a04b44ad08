import { describe, expect, it } from "vitest";
import { cpioArchive } from "../src/guest/cpio.ts";
import { judgeDisk, parseGuestDisk } from "../src/guest/disk.ts";
import { GuestTally } from "../src/guest/tally.ts";
import { domainXml, guestsOf } from "../src/index.ts";
import { guestOfProcess, isHypervisor } from "../src/processes.ts";

const SECTOR = 512;

function sectorOf(number: number, run: string): Buffer {
  const sector = Buffer.alloc(SECTOR);
  sector.write("quorate-guest-1", 0);
  sector.write("vm1", 16);
  sector.write(run, 32);
  sector.writeBigUInt64BE(BigInt(number), 48);
  let sum = 0;
  for (let offset = 0; offset < 64; offset += 4) sum = (sum + sector.readUInt32BE(offset)) >>> 0;
  sector.writeUInt32BE(sum, 64);
  return sector;
}

/** A disk of four sectors with these writes, the later over the earlier. */
function diskWith(...writes: [number, string][]): ReturnType<typeof parseGuestDisk> {
  const bytes = Buffer.alloc(4 * SECTOR);
  for (const [number, run] of writes) sectorOf(number, run).copy(bytes, ((number - 1) % 4) * SECTOR);
  return parseGuestDisk(bytes);
}

describe("a guest's disk", () => {
  it("has every number that was answered, or one of a later round in its place", () => {
    const disk = diskWith([1, "a"], [2, "a"], [3, "a"], [4, "a"], [5, "a"]);
    const verdict = judgeDisk(
      "vm1",
      disk,
      [1, 2, 5].map((number) => [number, "a"] as const),
    );
    expect(verdict).toEqual({
      ...{ guest: "vm1", newest: 5, acknowledged: 3, lost: [], torn: [] },
      ...{ runs: ["a"], interleaved: false },
    });
  });

  it("shows a number that was answered and is not there, or is another run's", () => {
    const disk = diskWith([1, "a"], [2, "b"]);
    const lost = judgeDisk("vm1", disk, [
      [1, "a"],
      [2, "a"],
      [3, "a"],
    ]).lost;
    expect(lost).toEqual([
      { number: 2, run: "a" },
      { number: 3, run: "a" },
    ]);
  });

  it("tells a restart from two runs that write in turns", () => {
    const judge = (...writes: [number, string][]) => judgeDisk("vm1", diskWith(...writes), []);
    expect(judge([1, "a"], [2, "b"], [3, "b"])).toMatchObject({ runs: ["a", "b"], interleaved: false });
    expect(judge([1, "a"], [2, "b"], [3, "a"])).toMatchObject({ runs: ["a", "b", "a"], interleaved: true });
  });

  it("shows a sector that was written by half, or lies in another's place", () => {
    const bytes = Buffer.concat([sectorOf(1, "a"), sectorOf(7, "a"), sectorOf(3, "a"), Buffer.alloc(SECTOR)]);
    bytes.writeUInt8(0xff, 2 * SECTOR + 40);
    expect(parseGuestDisk(bytes).torn).toEqual([1, 2]);
  });
});

describe("a window on a guest", () => {
  const answer = (run: string, number: number, sentMs: number, atMs = sentMs + 2) =>
    ({ guest: "vm1", run, number, sentMs, atMs }) as const;

  it("measures the longest silence, also one that lasts", () => {
    const tally = new GuestTally("vm1", 1000);
    for (const [index, atMs] of [1010, 1030, 1330, 1350].entries()) {
      tally.take(answer("a", index + 1, atMs - 2, atMs));
    }
    expect(tally.report(1360).silence).toEqual({ longestMs: 300, fromMs: 1030, open: false });
    expect(tally.report(2000).silence).toEqual({ longestMs: 650, fromMs: 1350, open: true });
  });

  it("takes a run after another for a restart", () => {
    const tally = new GuestTally("vm1", 0);
    tally.take(answer("a", 1, 10));
    tally.take(answer("b", 2, 5000));
    // Put before the new run's first answer: it only came late.
    tally.take(answer("a", 3, 4990, 5010));
    expect(tally.report(6000)).toMatchObject({ overlaps: [], repeated: [] });
    expect(tally.report(6000).runs.map(({ run }) => run)).toEqual(["a", "b"]);
  });

  it("takes a run that goes on after another's first answer for a second copy", () => {
    const tally = new GuestTally("vm1", 0);
    tally.take(answer("a", 8, 10));
    tally.take(answer("b", 8, 20));
    tally.take(answer("a", 9, 30));
    const { overlaps, repeated } = tally.report(100);
    expect(overlaps).toEqual([{ runs: ["a", "b"], fromMs: 22, toMs: 22 }]);
    expect(repeated).toEqual([8]);
  });
});

describe("what a guest is made of", () => {
  it("differs from guest to guest, and names nothing of ours", () => {
    const guests = guestsOf(80);
    for (const key of ["name", "uuid", "mac", "address", "diskPort"] as const) {
      expect(new Set(guests.map((guest) => guest[key])).size).toBe(80);
    }
    const [first] = guests;
    if (first === undefined) throw new Error("no guests");
    expect(domainXml(first)).toContain("<name>vm1</name>");
    expect(domainXml(first)).not.toMatch(/seclabel|<target dev='(qv|vnet)/);
  });

  it("is an archive that names each file with its content, padded to four bytes", () => {
    const archive = cpioArchive([
      { kind: "directory", path: "bin" },
      { kind: "file", path: "bin/a", content: Buffer.from("hello") },
    ]).toString("latin1");
    expect(archive.length % 4).toBe(0);
    expect(archive.match(/070701/g)).toHaveLength(3);
    expect(archive).toContain("bin/a\0");
    expect(archive).toContain(`hello${"\0".repeat(3)}070701`);
  });

  it("is told from other processes by its command line", () => {
    const qemu = { command: "/usr/bin/qemu-system-x86_64 -name guest=vm7,debug-threads=on -S" };
    expect([guestOfProcess(qemu), isHypervisor(qemu)]).toEqual(["vm7", true]);
    expect(isHypervisor({ command: "/usr/sbin/libvirtd --listen" })).toBe(true);
    const pidOne = { command: "perl /x/keep.pl --keep node --keep /usr/sbin/libvirtd --listen" };
    expect([guestOfProcess(pidOne), isHypervisor(pidOne)]).toEqual([null, false]);
    expect(isHypervisor({ command: "virsh event --all --loop" })).toBe(false);
  });
});
