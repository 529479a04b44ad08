import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";
import { TAP_PREFIX } from "../hypervisor/machine-number.ts";
import { storageKeys } from "./machine-ruleset.ts";

/** A connection of a fake host. */
export interface FakeConnection {
  readonly user: number;
  readonly endpoint: StorageEndpoint;
  state: "open" | "orphan" | "gone";
  /** Written, and not taken by the storage yet. */
  queuedBytes: number;
  arrivedBytes: number;
}

/**
 * The kernel's side of a fake gate: what passes, and the connections of the host. Time is an argument, so an element is
 * dead at its instant, whatever our processes do.
 */
export class FakeMachineKernel {
  readonly #nowUs: () => number;
  #storage: readonly string[] | undefined;
  readonly #permits = new Map<number, number>();
  readonly #open = new Map<string, number>();
  #connections: FakeConnection[] = [];

  constructor(nowUs: () => number) {
    this.#nowUs = nowUs;
  }

  /** Whether frames from and to the interface pass now. */
  passesTap(name: string): boolean {
    if (this.#storage === undefined || !name.startsWith(TAP_PREFIX)) return true;
    return this.remainingUs(name) > 0;
  }

  /** Whether packets of the user reach the endpoint; null is an orphan's. */
  passesStorage(user: number | null, endpoint: StorageEndpoint): boolean {
    if (this.#storage === undefined || !this.#storage.includes(storageKeys([endpoint])[0] ?? "")) return true;
    return user !== null && this.remainingUs(String(user)) > 0;
  }

  /** Undefined: refused. */
  connect(user: number, endpoint: StorageEndpoint): FakeConnection | undefined {
    if (!this.passesStorage(user, endpoint)) return undefined;
    const connection: FakeConnection = { user, endpoint, state: "open", queuedBytes: 0, arrivedBytes: 0 };
    this.#connections.push(connection);
    return connection;
  }

  /** The process ends, its connections stay as orphans for what they have queued. */
  kill(user: number): void {
    for (const each of this.#connections)
      if (each.user === user && each.state === "open") each.state = "orphan";
  }

  /** The storage takes what it is sent: the kernel tries to deliver what is queued. */
  deliver(connection: FakeConnection): void {
    if (connection.state === "gone") return;
    const passes = this.passesStorage(
      connection.state === "open" ? connection.user : null,
      connection.endpoint,
    );
    if (passes) connection.arrivedBytes += connection.queuedBytes;
    else connection.state = "gone";
    connection.queuedBytes = 0;
  }

  destroyConnections(user: number, storage: readonly StorageEndpoint[]): void {
    const endpoints = storageKeys(storage);
    for (const each of this.#connections) {
      const orphaned = each.state === "orphan" && endpoints.includes(storageKeys([each.endpoint])[0] ?? "");
      if (each.user !== user && !orphaned) continue;
      each.state = "gone";
      each.queuedBytes = 0;
    }
    this.#connections = this.#connections.filter(({ state }) => state !== "gone");
  }

  remainingUs(key: string): number {
    return Math.max(0, (this.#open.get(key) ?? 0) - this.#nowUs());
  }

  /** Taps and users that are open now. */
  get openKeys(): readonly string[] {
    return [...this.#open.keys()].filter((key) => this.remainingUs(key) > 0);
  }

  /** What is held, as `storageKeys` gives it; undefined without tables. */
  get storage(): readonly string[] | undefined {
    return this.#storage;
  }

  /** What `nft flush ruleset` by somebody else does. */
  flushRuleset(): void {
    this.#storage = undefined;
    this.shut();
  }

  hold(storage: readonly StorageEndpoint[]): void {
    this.#storage = storageKeys(storage);
  }

  addPermit(number: number, timeoutMs: number): boolean {
    if (this.#permitLives(number)) return false;
    this.#permits.set(number, this.#nowUs() + timeoutMs * 1_000);
    return true;
  }

  takePermit(number: number): boolean {
    return this.#permitLives(number) && this.#permits.delete(number);
  }

  open(keys: readonly string[], timeoutMs: number): void {
    this.#open.clear();
    for (const key of keys) this.#open.set(key, this.#nowUs() + timeoutMs * 1_000);
  }

  shut(keys: readonly string[] = [...this.#open.keys()]): void {
    for (const key of keys) this.#open.delete(key);
    this.#permits.clear();
  }

  #permitLives(number: number): boolean {
    return (this.#permits.get(number) ?? 0) > this.#nowUs();
  }
}
