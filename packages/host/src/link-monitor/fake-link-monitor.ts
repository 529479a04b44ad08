import type { FakeKernel } from "../fake/fake-kernel.ts";
import type { LinkEvent, LinkMonitor } from "./link-monitor.ts";

export function createFakeLinkMonitor(kernel: FakeKernel): LinkMonitor {
  const listeners = new Set<(event: LinkEvent) => void>();
  let stop: (() => void) | undefined;
  return {
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async start() {
      stop ??= kernel.listen((event) => {
        for (const listener of [...listeners]) listener(event);
      });
    },
    async close() {
      stop?.();
      stop = undefined;
    },
  };
}
