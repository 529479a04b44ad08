/**
 * Reads what `tcpdump -i any -w -` writes (pcap, Linux cooked v2) and says what each frame means for the cluster
 * address. Pure: bytes in, frames out. A frame that it does not know is "other", never an error; a stream that is
 * not such a capture is.
 */
import { invariant } from "@quorate/contracts";

/** All but the tick are from the cluster address: somebody answers, or says that he would. */
export type FrameKind =
  /** The client's own clock, twenty times a second: how far the capture has come when nobody answers. */
  "tick" | "arp-reply" | "arp-announcement" | "icmp-reply" | "tcp-open" | "tcp-reset" | "http" | "other";

export type Frame = {
  /** The kernel's timestamp, milliseconds of the wall clock with microseconds behind the point. */
  atMs: number;
  /** The interface index of the switch's port at which the frame came in. */
  port: number;
  kind: FrameKind;
  /** The cluster address in question. */
  vip: string;
  /** Whom it is sent to (IPv6 as 32 hex digits); for ARP the target's protocol address. */
  to: string;
};

const PCAP_HEADER = 24;
const RECORD_HEADER = 16;
const COOKED_HEADER = 20;
const MAGIC_MICROSECONDS = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS = 0xa1b2_3c4d;
const LINKTYPE_LINUX_SLL2 = 276;
const MAX_RECORD = 262_144;

export class FrameReader {
  /** One spelling to compare, to the spelling that was given. */
  readonly #vips: ReadonlyMap<string, string>;
  readonly #observer: string;
  #rest: Buffer = Buffer.alloc(0);
  #fractionsPerMs = 0;

  constructor(vips: Iterable<string>, observer: string) {
    this.#observer = observer;
    this.#vips = new Map([...vips].map((vip) => [vip.includes(":") ? expandV6(vip) : vip, vip]));
  }

  /** Takes the stream's next bytes, gives the frames that are complete. */
  read(chunk: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let offset = this.#fractionsPerMs === 0 ? this.#readHeader() : 0;
    if (this.#fractionsPerMs === 0) return [];
    const frames: Frame[] = [];
    while (this.#rest.length - offset >= RECORD_HEADER) {
      const length = this.#rest.readUInt32LE(offset + 8);
      invariant(length <= MAX_RECORD, "a capture record is no longer than the snap length");
      if (this.#rest.length - offset < RECORD_HEADER + length) break;
      const seconds = this.#rest.readUInt32LE(offset);
      const fraction = this.#rest.readUInt32LE(offset + 4);
      const body = this.#rest.subarray(offset + RECORD_HEADER, offset + RECORD_HEADER + length);
      const frame = this.#decode(seconds * 1000 + fraction / this.#fractionsPerMs, body);
      if (frame !== null) frames.push(frame);
      offset += RECORD_HEADER + length;
    }
    this.#rest = this.#rest.subarray(offset);
    return frames;
  }

  #readHeader(): number {
    if (this.#rest.length < PCAP_HEADER) return 0;
    const magic = this.#rest.readUInt32LE(0);
    invariant(magic === MAGIC_MICROSECONDS || magic === MAGIC_NANOSECONDS, "the stream is a pcap capture");
    invariant(this.#rest.readUInt32LE(20) === LINKTYPE_LINUX_SLL2, "the capture is of all interfaces");
    this.#fractionsPerMs = magic === MAGIC_MICROSECONDS ? 1000 : 1_000_000;
    return PCAP_HEADER;
  }

  #decode(atMs: number, body: Buffer): Frame | null {
    if (body.length < COOKED_HEADER) return null;
    const protocol = body.readUInt16BE(0);
    const port = body.readUInt32BE(4);
    const packet = body.subarray(COOKED_HEADER);
    const meaning =
      protocol === 0x0806
        ? readArp(packet)
        : protocol === 0x0800
          ? readIpv4(packet)
          : protocol === 0x86dd
            ? readIpv6(packet)
            : null;
    if (meaning === null) return null;
    if (meaning.kind === "tick" && meaning.to === this.#observer) {
      return { atMs, port, kind: "tick", vip: "", to: meaning.to };
    }
    const vip = this.#vips.get(meaning.from);
    if (vip === undefined) return null;
    return { atMs, port, kind: meaning.kind === "tick" ? "other" : meaning.kind, vip, to: meaning.to };
  }
}

type Meaning = { kind: FrameKind; from: string; to: string };

function readArp(packet: Buffer): Meaning | null {
  if (packet.length < 28) return null;
  const operation = packet.readUInt16BE(6);
  const from = ipv4At(packet, 14);
  const to = ipv4At(packet, 24);
  return { kind: operation === 2 && from !== to ? "arp-reply" : "arp-announcement", from, to };
}

function readIpv4(packet: Buffer): Meaning | null {
  if (packet.length < 20) return null;
  const headerLength = ((packet[0] ?? 0) & 0x0f) * 4;
  const from = ipv4At(packet, 12);
  const to = ipv4At(packet, 16);
  const payload = packet.subarray(headerLength, packet.readUInt16BE(2));
  return { kind: kindOfPayload(packet[9] ?? 0, payload), from, to };
}

function readIpv6(packet: Buffer): Meaning | null {
  if (packet.length < 40) return null;
  const from = ipv6At(packet, 8);
  const to = ipv6At(packet, 24);
  const payload = packet.subarray(40);
  const next = packet[6] ?? 0;
  // A neighbour advertisement speaks for its target, whatever address it is sent from.
  if (next === 58 && payload[0] === 136 && payload.length >= 24) {
    const solicited = ((payload[4] ?? 0) & 0x40) !== 0;
    return { kind: solicited ? "arp-reply" : "arp-announcement", from: ipv6At(payload, 8), to };
  }
  return { kind: kindOfPayload(next, payload), from, to };
}

const TICK_PORT = 9;
const TCP_SYN = 0x02;
const TCP_RST = 0x04;
const TCP_ACK = 0x10;

function kindOfPayload(protocol: number, payload: Buffer): FrameKind {
  const first = payload[0] ?? -1;
  switch (protocol) {
    case 1:
      return first === 0 ? "icmp-reply" : "other";
    case 58:
      return first === 129 ? "icmp-reply" : "other";
    case 6: {
      const flags = payload[13] ?? 0;
      if ((flags & TCP_RST) !== 0) return "tcp-reset";
      if ((flags & TCP_SYN) !== 0) return (flags & TCP_ACK) === 0 ? "other" : "tcp-open";
      const data = payload.subarray(((payload[12] ?? 0) >> 4) * 4);
      return /^HTTP\/1\.[01] 200 /.test(data.subarray(0, 13).toString("latin1")) ? "http" : "other";
    }
    case 17:
      return payload.length >= 4 && payload.readUInt16BE(2) === TICK_PORT ? "tick" : "other";
    default:
      return "other";
  }
}

function ipv4At(packet: Buffer, offset: number): string {
  return packet.subarray(offset, offset + 4).join(".");
}

function ipv6At(packet: Buffer, offset: number): string {
  return packet.subarray(offset, offset + 16).toString("hex");
}

/** `fd51::1` as 32 hex digits: one spelling to compare. */
export function expandV6(address: string): string {
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const middle = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => "0");
  return [...left, ...middle, ...right].map((group) => group.padStart(4, "0")).join("");
}

/** The capture's filter: everything that speaks for a cluster address, and the observer's ticks. */
export function captureFilter(vips: readonly string[], observer: string): string {
  const answers = vips.map((vip) =>
    vip.includes(":") ? `(ip6 src host ${vip}) or (icmp6 and ip6[40] = 136)` : `(src host ${vip})`,
  );
  return [...answers, `(ip dst host ${observer} and udp dst port ${TICK_PORT})`].join(" or ");
}
