import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { QuorateError } from "@quorate/contracts";
import type { Heartbeat } from "@quorate/core-membership";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { deriveKey, sealContent } from "../src/wire/cipher.ts";
import { clusterHashOf, DATAGRAM_BYTES_MAX, PROTOCOL_VERSION, writeEnvelope } from "../src/wire/envelope.ts";
import { clusterKeyOf, readClusterKey } from "../src/wire/key-file.ts";
import { Opener } from "../src/wire/opener.ts";
import { Sealer } from "../src/wire/sealer.ts";
import { ballotOf, CLUSTER, heartbeatOf, KEY, openerOf, sealed, sealerOf } from "./samples.ts";

const pass = (): null => null;

describe("the datagram's form", () => {
  it("opens what was sealed, on every ring, with and without a ballot", () => {
    const hears = fc.array(
      fc.record({
        node: fc.integer({ min: 1, max: 0xffff_ffff }),
        incarnation: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
        links: fc.array(fc.record({ ring: fc.integer({ min: 0, max: 7 }), ageUs: fc.nat() }), {
          maxLength: 8,
        }),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 0xffff_ffff }),
        fc.integer({ min: 1, max: 2 ** 48 - 1 }),
        hears,
        fc.boolean(),
        fc.integer({ min: 0, max: 7 }),
        (node, incarnation, heard, voting, ring) => {
          const ballot = voting ? ballotOf(node, 123_456) : null;
          const heartbeat = heartbeatOf(node, incarnation, { hears: heard, ballot });
          const opened = openerOf().open(sealed(sealerOf(node, incarnation), heartbeat, ring), ring, pass);
          if (!opened.ok) throw new Error(opened.refusal);
          expect(opened.heartbeat).toEqual(heartbeat);
          expect(opened.envelope).toMatchObject({ node, incarnation, ring, counter: 1 });
        },
      ),
    );
  });

  it("fits an Ethernet frame with the ballots of three and of eight nodes", () => {
    const eight = [1, 2, 3, 4, 5, 6, 7, 8];
    for (const voters of [[2, 4, 8], eight]) {
      const hears = voters.map((node) => ({
        node,
        incarnation: 1_700_000_000_000 + node,
        links: [
          { ring: 0, ageUs: 45_678 * node },
          { ring: 1, ageUs: 45_679 * node },
        ],
      }));
      const ballot = ballotOf(4, 9_123_456_789, voters);
      const size = sealed(sealerOf(4, 9), heartbeatOf(4, 9, { hears, ballot })).length;
      expect(size).toBeLessThan(1400);
    }
  });

  it("never sends one that a receiver would find too large", () => {
    const hears = Array.from({ length: 1000 }, (_, index) => ({
      node: index + 1,
      incarnation: randomBytes(6).readUIntBE(0, 6) + 1,
      links: [{ ring: 0, ageUs: randomBytes(4).readUInt32BE(0) }],
    }));
    expect(sealerOf(4, 9).seal(heartbeatOf(4, 9, { hears }), [0])).toBeNull();
  });

  it("never uses a nonce twice: counters rise per ring, keys differ per session and incarnation", () => {
    const sealer = sealerOf(4, 9);
    const counters = [0, 1, 0].map((ring) => sealed(sealer, heartbeatOf(4, 9), ring).readBigUInt64BE(40));
    expect(counters).toEqual([1n, 1n, 2n]);
    const hash = clusterHashOf(CLUSTER);
    const keys = [
      { node: 4, incarnation: 9, session: 1n },
      { node: 4, incarnation: 9, session: 2n },
      { node: 4, incarnation: 10, session: 1n },
      { node: 5, incarnation: 9, session: 1n },
    ].map((who) => deriveKey(KEY.bytes, hash, who).toString("hex"));
    expect(new Set(keys).size).toBe(4);
  });
});

describe("the datagram door", () => {
  const good = sealed(sealerOf(4, 9), heartbeatOf(4, 9, { ballot: ballotOf(4, 1) }));

  it("refuses garbage, cut, oversized and stretched datagrams without a throw", () => {
    const opener = openerOf();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(opener.open(Buffer.from(bytes), 0, pass).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
    for (let length = 0; length < good.length; length += 1) {
      expect(opener.open(good.subarray(0, length), 0, pass).ok).toBe(false);
    }
    const large = Buffer.concat([good, Buffer.alloc(DATAGRAM_BYTES_MAX)]);
    expect(opener.open(large, 0, pass)).toEqual({ ok: false, refusal: "refused_oversized", node: null });
    expect(opener.open(Buffer.concat([good, Buffer.from([0])]), 0, pass).ok).toBe(false);
    expect(opener.open(good, 0, pass).ok).toBe(true);
  });

  it("refuses a datagram with any one bit changed", () => {
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      const changed = Buffer.from(good);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(openerOf().open(changed, 0, pass).ok).toBe(false);
    }
  });

  it("asks what the envelope forbids before it opens anything", () => {
    expect(openerOf().open(good, 0, () => "refused_replayed")).toEqual({
      ok: false,
      refusal: "refused_replayed",
      node: 4,
    });
  });

  it("refuses other clusters, other keys and other rings by name", () => {
    const other = clusterKeyOf(randomBytes(128));
    const foreign = new Sealer({ clusterName: CLUSTER, key: other, node: 4, incarnation: 9 });
    const heartbeat = heartbeatOf(4, 9);
    const cases: [Buffer, number, string][] = [
      [sealed(sealerOf(4, 9, { clusterName: "other" }), heartbeat), 0, "refused_foreign_cluster"],
      [sealed(foreign, heartbeat), 0, "refused_foreign_key"],
      [good, 1, "refused_wrong_ring"],
    ];
    for (const [datagram, ring, refusal] of cases) {
      expect(openerOf().open(datagram, ring, pass)).toMatchObject({ ok: false, refusal });
    }
    const renamed = Buffer.from(good);
    renamed.writeUInt8(PROTOCOL_VERSION + 1, 4);
    expect(openerOf().open(renamed, 0, pass)).toMatchObject({ refusal: "refused_version" });
  });

  it("refuses what a holder of the key should not say", () => {
    const sealer = sealerOf(4, 9);
    const bad: unknown[] = [
      heartbeatOf(5, 9),
      heartbeatOf(4, 9, { cluster: "other" }),
      { ...heartbeatOf(4, 9), ballot: { ...ballotOf(4, 1), leaving: "no" } },
      { ...heartbeatOf(4, 9), ballot: { ...ballotOf(4, 1), stored: null } },
      { ...heartbeatOf(4, 9), hears: [{ node: 0, incarnation: 1, links: [] }] },
      { ...heartbeatOf(4, 9), bootId: "x" },
      { incarnation: 9, ballot: null },
    ];
    for (const heartbeat of bad) {
      const datagram = sealed(sealer, heartbeat as Heartbeat);
      expect(openerOf().open(datagram, 0, pass)).toMatchObject({ ok: false, refusal: "refused_content" });
    }
  });

  it("stops inflating at a limit", () => {
    const hash = clusterHashOf(CLUSTER);
    const who = { node: 4, incarnation: 9, session: 5n };
    const header = writeEnvelope({ ...who, ring: 0, counter: 1, deflated: true, keyId: KEY.id }, hash);
    const bomb = deflateRawSync(Buffer.alloc(10_000_000, 0x20));
    const datagram = sealContent(deriveKey(KEY.bytes, hash, who), 0, 1, header, bomb);
    expect(datagram.length).toBeLessThan(DATAGRAM_BYTES_MAX);
    expect(openerOf().open(datagram, 0, pass)).toMatchObject({ refusal: "refused_content" });
  });

  it("takes one session per incarnation, and a later incarnation any time", () => {
    const opener = openerOf();
    expect(opener.open(good, 0, pass).ok).toBe(true);
    const twin = sealed(sealerOf(4, 9), heartbeatOf(4, 9));
    expect(opener.open(twin, 0, pass)).toMatchObject({ refusal: "refused_stale_incarnation" });
    expect(opener.open(sealed(sealerOf(4, 10), heartbeatOf(4, 10)), 0, pass).ok).toBe(true);
  });
});

describe("the key file", () => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-key-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function refusal(name: string, bytes: Buffer | null, mode = 0o600): string {
    const path = join(folder, name);
    if (bytes !== null) {
      writeFileSync(path, bytes);
      chmodSync(path, mode);
    }
    try {
      readClusterKey(path);
      return "taken";
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      expect(error.hint).not.toBe("");
      return error.code;
    }
  }

  it("is taken in corosync's sizes and refused when missing, small, large, flat or readable by others", () => {
    expect(refusal("a", randomBytes(128))).toBe("taken");
    expect(refusal("b", randomBytes(256), 0o400)).toBe("taken");
    expect(refusal("none", null)).toBe("KEY_INVALID");
    expect(refusal("c", randomBytes(127))).toBe("KEY_INVALID");
    expect(refusal("d", randomBytes(4097))).toBe("KEY_INVALID");
    expect(refusal("e", Buffer.alloc(128))).toBe("KEY_INVALID");
    expect(refusal("f", randomBytes(128), 0o640)).toBe("KEY_MODE");
    expect(refusal("g", randomBytes(128), 0o604)).toBe("KEY_MODE");
  });

  it("decides: another key opens nothing", () => {
    const other = new Opener({
      clusterName: CLUSTER,
      key: { ...clusterKeyOf(randomBytes(128)), id: KEY.id },
    });
    const datagram = sealed(sealerOf(4, 9), heartbeatOf(4, 9));
    expect(other.open(datagram, 0, pass)).toMatchObject({ refusal: "refused_unauthentic" });
  });
});
