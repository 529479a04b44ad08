import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LeaseGateOptions } from "../src/gate/lease-gate.ts";
import type { StorageEndpoint } from "../src/hypervisor/hypervisor.ts";
import { machineUser, tapName } from "../src/hypervisor/machine-number.ts";
import { createFakeMachineGate } from "../src/machine-gate/fake-machine-gate.ts";
import { FakeMachineKernel } from "../src/machine-gate/fake-machine-kernel.ts";
import type { GatedMachine, MachineGate } from "../src/machine-gate/machine-gate.ts";
import { createRealMachineGate } from "../src/machine-gate/real-machine-gate.ts";
import { Talker } from "./machine-gate-talker.ts";
import { Cable, pauseMs, run } from "./namespaces.ts";

export const STORAGE: readonly StorageEndpoint[] = [
  { address: "10.9.0.2", port: 10_809 },
  { address: "fd00:9::2", port: 10_809 },
];
export const ALPHA: GatedMachine = { vm: "alpha", number: 0xa, nicCount: 2 };
export const BETA: GatedMachine = { vm: "beta", number: 0xb, nicCount: 1 };
/** A machine that has taps, and that no gate has heard of. */
export const UNKNOWN: GatedMachine = { vm: "unknown", number: 0xfff_ffff, nicCount: 1 };

/** A connection of a machine's process to the storage. */
export interface Wire {
  /** More than the storage takes as long as it does not read. */
  writeMuch(): Promise<void>;
  /** Ends the process; what it has written stays in the kernel. */
  killProcess(): Promise<void>;
  freezeProcess(): void;
  /** The process has nothing more to write. */
  endProcess(): void;
  /** What the storage holds or has read. */
  arrived(): number;
  /** The storage reads on, to the connection's end. */
  arrivedAtTheEnd(): Promise<number>;
}

export interface MachineWorld {
  gate(options?: LeaseGateOptions): MachineGate;
  nowUs(): number;
  pass(us: number): Promise<void>;
  /** Whether the guest's card and the outside reach each other. */
  guestReaches(machine: GatedMachine, nic: number): Promise<boolean>;
  /** Whether this host and the guest's card reach each other. */
  hostReaches(machine: GatedMachine, nic: number): Promise<boolean>;
  /** Whether a process of that user gets a connection to the storage. */
  connects(user: number, storage: StorageEndpoint): Promise<boolean>;
  wire(machine: GatedMachine, storage: StorageEndpoint): Promise<Wire>;
  flushRuleset(): void;
  end(): Promise<void>;
}

export function fakeMachineWorld(): MachineWorld {
  let nowUs = 1_000_000;
  const kernel = new FakeMachineKernel(() => nowUs);
  const reaches = async (machine: GatedMachine, nic: number): Promise<boolean> =>
    kernel.passesTap(tapName(machine.number, nic));
  return {
    gate: (options) => createFakeMachineGate({ nowUs: () => nowUs }, { ...options, kernel }),
    nowUs: () => nowUs,
    pass: async (us) => {
      nowUs += us;
    },
    guestReaches: reaches,
    hostReaches: reaches,
    connects: async (user, storage) => kernel.connect(user, storage) !== undefined,
    wire: async (machine, storage) => {
      const connection = kernel.connect(machineUser(machine.number), storage);
      if (connection === undefined) throw new Error("refused");
      return {
        writeMuch: async () => {
          connection.arrivedBytes += 1_000;
          connection.queuedBytes += 1_000;
        },
        killProcess: async () => kernel.kill(machineUser(machine.number)),
        freezeProcess: () => {},
        endProcess: () => {},
        arrived: () => connection.arrivedBytes,
        arrivedAtTheEnd: async () => {
          kernel.deliver(connection);
          return connection.arrivedBytes;
        },
      };
    },
    flushRuleset: () => kernel.flushRuleset(),
    end: async () => {},
  };
}

/** One host with a bridge and guests behind veths that are named as taps; the storage is in the peer. */
export class RealMachineWorld implements MachineWorld {
  readonly cable = new Cable();
  readonly #guests = new Map<string, string>();
  readonly #gates: MachineGate[] = [];
  readonly #talkers: Talker[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "machine-gate-"));
  readonly #script: string;

  constructor() {
    const { cable } = this;
    // Where users of machines can read it.
    this.#script = join(this.#folder, "peer.ts");
    copyFileSync(new URL("./machine-gate-peer.ts", import.meta.url), this.#script);
    chmodSync(this.#folder, 0o755);
    cable.inHost("ip", "link", "add", "br0", "type", "bridge");
    cable.inHost("ip", "link", "set", "net0", "master", "br0");
    cable.inHost("ip", "link", "set", "br0", "up");
    this.#address(cable.host, "br0", 1);
    this.#address(cable.peer, "net0", 2);
    this.addGuest(ALPHA, 0);
    this.addGuest(ALPHA, 1);
    this.addGuest(BETA, 0);
    this.addGuest(UNKNOWN, 0);
  }

  addGuest(machine: GatedMachine, nic: number): string {
    const { cable } = this;
    const tap = tapName(machine.number, nic);
    const namespace = `${cable.host}-${this.#guests.size}`;
    run("ip", "netns", "add", namespace);
    const peer = ["peer", "name", "eth0", "netns", namespace];
    run("ip", "-n", cable.host, "link", "add", tap, "type", "veth", ...peer);
    // The tap's own announcements, as an interface of this host, pass by the bridge.
    cable.inHost("ip", "link", "set", tap, "addrgenmode", "none");
    cable.inHost("ip", "link", "set", tap, "master", "br0", "up");
    run("ip", "-n", namespace, "link", "set", "eth0", "up");
    this.#guests.set(tap, namespace);
    this.#address(namespace, "eth0", 10 + this.#guests.size);
    return namespace;
  }

  namespaceOf(machine: GatedMachine, nic: number): string {
    return this.#guests.get(tapName(machine.number, nic)) ?? "";
  }

  gate(options: LeaseGateOptions = {}): MachineGate {
    const gate = createRealMachineGate(this.cable.context, { answerTimeoutMs: 2_000, ...options });
    this.#gates.push(gate);
    return gate;
  }

  nowUs(): number {
    return this.cable.context.nowUs();
  }

  pass(us: number): Promise<void> {
    return pauseMs(us / 1_000);
  }

  guestReaches(machine: GatedMachine, nic: number): Promise<boolean> {
    return this.#pings(this.namespaceOf(machine, nic), "eth0", "10.9.0.2");
  }

  hostReaches(machine: GatedMachine, nic: number): Promise<boolean> {
    const guest = this.namespaceOf(machine, nic);
    const index = [...this.#guests.values()].indexOf(guest);
    return this.#pings(this.cable.host, "br0", `10.9.0.${11 + index}`);
  }

  connects(user: number, { address, port }: StorageEndpoint): Promise<boolean> {
    const script = `exec 3<>/dev/tcp/${address}/${port}`;
    return succeeds([...this.asUser(user), "timeout", "5", "bash", "-c", script]);
  }

  asUser(user: number): readonly string[] {
    const prefix = this.cable.context.commandPrefix ?? [];
    return [...prefix, "setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
  }

  async server(): Promise<Talker> {
    const inPeer = ["nsenter", `--net=/run/netns/${this.cable.peer}`];
    const server = this.talk([...inPeer, process.execPath, this.#script, "server", "10809"]);
    await server.hear("listening");
    return server;
  }

  async client(machine: GatedMachine, { address, port }: StorageEndpoint): Promise<Talker> {
    const node = [process.execPath, this.#script, "client", address, String(port)];
    const client = this.talk([...this.asUser(machineUser(machine.number)), ...node]);
    await client.hear("connected");
    return client;
  }

  async wire(machine: GatedMachine, storage: StorageEndpoint): Promise<Wire> {
    const server = this.#talkers[0] ?? (await this.server());
    const client = await this.client(machine, storage);
    return {
      writeMuch: async () => {
        client.order("write 8000000");
        await client.hear("wrote");
        // Until the storage's window is closed, and the rest waits here.
        while (!/timer:\(persist/.test(this.cable.inHost("ss", "-Htneo"))) await pauseMs(20);
      },
      killProcess: () => client.kill(),
      freezeProcess: () => process.kill(client.pid, "SIGSTOP"),
      endProcess: () => client.order("end"),
      arrived: () => this.#receivedByPeer(),
      arrivedAtTheEnd: async () => {
        server.order("read");
        return Number((await server.hear("closed")).split(" ")[1]);
      },
    };
  }

  flushRuleset(): void {
    this.cable.inHost("nft", "flush", "ruleset");
  }

  talk(command: readonly string[]): Talker {
    const talker = new Talker(command);
    this.#talkers.push(talker);
    return talker;
  }

  async end(): Promise<void> {
    for (const gate of this.#gates) await gate.close();
    for (const talker of this.#talkers) await talker.kill();
    for (const namespace of this.#guests.values()) run("ip", "netns", "del", namespace);
    this.cable.remove();
    rmSync(this.#folder, { recursive: true });
  }

  #address(namespace: string, device: string, last: number): void {
    run("ip", "-n", namespace, "addr", "add", `10.9.0.${last}/24`, "dev", device);
    run("ip", "-n", namespace, "addr", "add", `fd00:9::${last}/64`, "dev", device, "nodad");
  }

  async #pings(namespace: string, device: string, address: string): Promise<boolean> {
    run("ip", "-n", namespace, "neigh", "flush", "dev", device);
    const inside = ["nsenter", `--net=/run/netns/${namespace}`];
    const ping = [...inside, "ping", "-n", "-c", "1", "-W", "0.25", address];
    return (await succeeds(ping)) || (await succeeds(ping)) || succeeds(ping);
  }

  #receivedByPeer(): number {
    const lines = this.cable.inPeer("ss", "-Htn", "state", "connected", "sport", "=", ":10809").trim();
    return Number(lines.split(/\s+/)[1]);
  }
}

function succeeds([file = "", ...rest]: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(file, rest, (error) => resolve(error === null));
  });
}
