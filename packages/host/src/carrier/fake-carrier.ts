import type { FakeKernel } from "../fake/fake-kernel.ts";
import type { Carrier } from "./carrier.ts";

export function createFakeCarrier(kernel: FakeKernel): Carrier {
  return {
    async inspect(device) {
      const carrier = kernel.carrier(device);
      if (carrier === undefined) return "missing";
      return carrier ? "up" : "down";
    },
  };
}
