import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { QuorateError } from "@quorate/contracts";
import { monotonicUs } from "@quorate/runtime";
import type { Binding } from "./bind-rule.ts";

export interface RingSocketEvents {
  /** `receivedAtUs` is read before anything else is done. */
  onDatagram(datagram: Buffer, receivedAtUs: number): void;
  /** The socket is of no more use; it has been closed. */
  onBroken(error: Error): void;
  /** A datagram did not leave; the next one may. */
  onSendError(error: Error): void;
}

/** Asked of the kernel, which doubles it; bounds how many datagrams can wait, see `QUEUE_DATAGRAMS_MAX`. */
const RECEIVE_BUFFER_BYTES = 212_992;

/** The kernel books at least 704 bytes for the smallest datagram. */
export const QUEUE_DATAGRAMS_MAX = Math.ceil((2 * RECEIVE_BUFFER_BYTES) / 704);

/** libuv reads at most this many datagrams of one socket before it goes on to something else. */
export const READ_BATCH = 32;

/** No name is ever looked up: only addresses are given, and a resolver could block us. */
function createRawSocket(binding: Binding, reuseAddr: boolean): Socket {
  return createSocket({
    type: binding.family === 6 ? "udp6" : "udp4",
    reuseAddr,
    recvBufferSize: RECEIVE_BUFFER_BYTES,
    lookup: (host, _options, callback) => callback(null, host, binding.family),
  });
}

/**
 * The sockets of one ring. One is bound to the node's own address: it sends everything and hears unicast. With
 * multicast a second one is bound to the group. The first takes the port for itself, so that a second process
 * on the same address is noticed; the group's is shared, for other rings and programs may use the group too.
 */
export class RingSocket {
  readonly binding: Binding;
  readonly #events: RingSocketEvents;
  readonly #sockets: Socket[] = [];
  #sender: Socket | undefined;
  #closed = false;

  private constructor(binding: Binding, events: RingSocketEvents) {
    this.binding = binding;
    this.#events = events;
  }

  /** Throws QuorateError PORT_TAKEN or ADDRESS_MISSING. */
  static async open(binding: Binding, events: RingSocketEvents): Promise<RingSocket> {
    const ring = new RingSocket(binding, events);
    try {
      await ring.#open();
    } catch (error) {
      ring.close();
      throw openFailure(binding, error);
    }
    return ring;
  }

  async #open(): Promise<void> {
    const { binding } = this;
    const sender = await this.#bind(createRawSocket(binding, false), binding.address);
    this.#sender = sender;
    if (binding.group === null) return;
    const membership = binding.family === 6 ? `::%${binding.interfaceName}` : binding.address;
    sender.setMulticastInterface(membership);
    sender.setMulticastTTL(binding.ttl);
    sender.setMulticastLoopback(false);
    const listener = await this.#bind(createRawSocket(binding, true), binding.group);
    listener.addMembership(binding.group, membership);
  }

  async #bind(socket: Socket, address: string): Promise<Socket> {
    this.#sockets.push(socket);
    // Before bind: with our own lookup it may be listening when bind returns.
    const listening = once(socket, "listening");
    socket.bind({ port: this.binding.port, address, exclusive: true });
    await listening;
    socket.on("message", (datagram) => {
      const receivedAtUs = monotonicUs();
      if (!this.#closed) this.#events.onDatagram(datagram, receivedAtUs);
    });
    socket.on("error", (error) => {
      if (this.#closed) return;
      this.close();
      this.#events.onBroken(error);
    });
    return socket;
  }

  /** Sends to the group, or to each of the addresses. Nothing is promised. */
  send(datagram: Buffer, addresses: readonly string[]): void {
    const targets = this.binding.group === null ? addresses : [this.binding.group];
    for (const target of targets) {
      this.#sender?.send(datagram, this.binding.port, target, (error) => {
        if (error !== null && !this.#closed) this.#events.onSendError(error);
      });
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const socket of this.#sockets) {
      try {
        socket.close();
      } catch {
        // It was never bound: there is nothing to close.
      }
    }
  }
}

function openFailure(binding: Binding, error: unknown): QuorateError {
  const { code, message } = error as NodeJS.ErrnoException;
  const where = `${binding.address} UDP port ${binding.port} (ring ${binding.ring})`;
  if (code === "EADDRINUSE") {
    return new QuorateError(
      "PORT_TAKEN",
      `Another program listens on ${where}.`,
      `Find it with: ss -lunp 'sport = :${binding.port}'; stop it, or choose another mcastport. It is retried every second.`,
      { cause: error },
    );
  }
  return new QuorateError(
    "ADDRESS_MISSING",
    `Cannot listen on ${where}: ${message}.`,
    "See `ip -br addr` and `ip link`; it is retried every second.",
    { cause: error },
  );
}
