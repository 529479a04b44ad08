import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Frame, FrameReader } from "../src/frames.ts";

const VIP = "172.31.223.100";
const VIP_V6 = "fd51:223::100";

function header(): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(0xa1b2_c3d4, 0);
  bytes.writeUInt32LE(276, 20);
  return bytes;
}

function record(atMs: number, port: number, protocol: number, packet: Buffer): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(Math.floor(atMs / 1000), 0);
  head.writeUInt32LE(Math.round((atMs % 1000) * 1000), 4);
  head.writeUInt32LE(20 + packet.length, 8);
  head.writeUInt32LE(20 + packet.length, 12);
  const cooked = Buffer.alloc(20);
  cooked.writeUInt16BE(protocol, 0);
  cooked.writeUInt32BE(port, 4);
  return Buffer.concat([head, cooked, packet]);
}

function arp(operation: number, from: string, to: string): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16BE(operation, 6);
  bytes.set(from.split(".").map(Number), 14);
  bytes.set(to.split(".").map(Number), 24);
  return bytes;
}

function ipv4(protocol: number, from: string, to: string, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(20);
  bytes[0] = 0x45;
  bytes.writeUInt16BE(20 + payload.length, 2);
  bytes[9] = protocol;
  bytes.set(from.split(".").map(Number), 12);
  bytes.set(to.split(".").map(Number), 16);
  return Buffer.concat([bytes, payload]);
}

function tcp(flags: number, data = ""): Buffer {
  const bytes = Buffer.alloc(20);
  bytes[12] = 0x50;
  bytes[13] = flags;
  return Buffer.concat([bytes, Buffer.from(data)]);
}

function read(...records: Buffer[]): Frame[] {
  return new FrameReader([VIP, VIP_V6], OBSERVER).read(Buffer.concat([header(), ...records]));
}

const CLIENT = "172.31.223.254";
const OBSERVER = "172.31.223.253";

describe("the capture's frames", () => {
  it.each([
    ["arp-reply", 0x0806, arp(2, VIP, CLIENT)],
    ["arp-announcement", 0x0806, arp(1, VIP, VIP)],
    ["arp-announcement", 0x0806, arp(2, VIP, VIP)],
    ["icmp-reply", 0x0800, ipv4(1, VIP, CLIENT, Buffer.from([0, 0, 0, 0]))],
    ["tcp-open", 0x0800, ipv4(6, VIP, CLIENT, tcp(0x12))],
    ["tcp-reset", 0x0800, ipv4(6, VIP, CLIENT, tcp(0x14))],
    ["http", 0x0800, ipv4(6, VIP, CLIENT, tcp(0x18, "HTTP/1.1 200 OK\r\n"))],
    ["other", 0x0800, ipv4(6, VIP, CLIENT, tcp(0x18, "HTTP/1.1 503 No\r\n"))],
    ["other", 0x0800, ipv4(17, VIP, CLIENT, Buffer.alloc(8))],
  ])("%s", (kind, protocol, packet) => {
    const atMs = 1_700_000_000_123.456;
    expect(read(record(atMs, 7, protocol, packet))).toEqual([
      {
        atMs: expect.closeTo(atMs, 2),
        port: 7,
        kind,
        vip: VIP,
        to: kind === "arp-announcement" ? VIP : CLIENT,
      },
    ]);
  });

  it("a neighbour advertisement speaks for its target", () => {
    const packet = Buffer.alloc(64);
    packet[0] = 0x60;
    packet[6] = 58;
    packet[40] = 136;
    packet[44] = 0x40;
    Buffer.from("fd510223000000000000000000000100", "hex").copy(packet, 48);
    expect(read(record(1, 3, 0x86dd, packet))).toMatchObject([{ kind: "arp-reply", port: 3 }]);
  });

  it("a tick is the observer's own, by address and port", () => {
    const datagram = (port: number) => {
      const bytes = Buffer.alloc(12);
      bytes.writeUInt16BE(port, 2);
      return bytes;
    };
    expect(read(record(5, 9, 0x0800, ipv4(17, CLIENT, OBSERVER, datagram(9))))).toMatchObject([
      { kind: "tick", atMs: 5 },
    ]);
    expect(read(record(5, 9, 0x0800, ipv4(17, CLIENT, OBSERVER, datagram(53))))).toEqual([]);
    expect(read(record(5, 9, 0x0800, ipv4(17, CLIENT, "172.31.223.46", datagram(9))))).toEqual([]);
  });

  it("of others are left out", () => {
    expect(read(record(1, 1, 0x0806, arp(2, CLIENT, VIP)))).toEqual([]);
    expect(read(record(1, 1, 0x0806, Buffer.alloc(3)), record(1, 1, 0x0800, Buffer.alloc(3)))).toEqual([]);
  });

  it("come out the same however the stream is cut", () => {
    const records = [
      record(1000.5, 1, 0x0806, arp(2, VIP, CLIENT)),
      record(1001.25, 2, 0x0800, ipv4(6, VIP, CLIENT, tcp(0x12))),
      record(1002, 3, 0x0800, ipv4(1, VIP, CLIENT, Buffer.alloc(8))),
    ];
    const whole = Buffer.concat([header(), ...records]);
    const expected = read(...records);
    expect(expected).toHaveLength(3);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: whole.length })), (cuts) => {
        const reader = new FrameReader([VIP], OBSERVER);
        const edges = [0, ...cuts.toSorted((left, right) => left - right), whole.length];
        const frames = edges
          .slice(1)
          .flatMap((edge, index) => reader.read(whole.subarray(edges[index], edge)));
        expect(frames).toEqual(expected);
      }),
    );
  });

  it("a stream that is no capture is refused", () => {
    expect(() => new FrameReader([VIP], OBSERVER).read(Buffer.alloc(64, 1))).toThrow(/pcap/);
  });
});
