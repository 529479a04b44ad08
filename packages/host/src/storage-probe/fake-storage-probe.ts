import type { StorageEndpoint } from "../hypervisor/hypervisor.ts";
import type { StorageProbe, StorageSight } from "./storage-probe.ts";

/** The storages of a host that does not exist, by `address:port`; what is not named answers. */
export class FakeStorages {
  readonly silent = new Set<string>();
  readonly refusing = new Set<string>();
  looks = 0;
}

export function createFakeStorageProbe(storages: FakeStorages): StorageProbe {
  return {
    async look({ address, port }: StorageEndpoint, timeoutMs: number): Promise<StorageSight> {
      storages.looks += 1;
      const name = `${address}:${port}`;
      if (storages.refusing.has(name)) return { kind: "refused", message: "Connection refused" };
      if (!storages.silent.has(name)) return { kind: "answers" };
      await new Promise((resolve) => setTimeout(resolve, timeoutMs));
      return { kind: "silent", message: `no answer within ${timeoutMs} ms` };
    },
    async close() {},
  };
}
