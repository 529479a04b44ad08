import { QuorateError } from "@quorate/contracts";
import type { Fault } from "./fault.ts";
import { HOST_FAULTS } from "./faults-host.ts";
import { LOCAL_FAULTS } from "./faults-local.ts";
import { NETWORK_FAULTS } from "./faults-network.ts";

export const FAULTS: readonly Fault[] = [...HOST_FAULTS, ...LOCAL_FAULTS, ...NETWORK_FAULTS];

/** Faults by name or by the beginning of it up to a dash: `freeze`, `freeze-2s`, `freeze-2s-slave`. */
export function chooseFaults(only: readonly string[] | undefined): Fault[] {
  const matches = (fault: Fault, name: string) => fault.name === name || fault.name.startsWith(`${name}-`);
  for (const name of only ?? []) {
    if (!FAULTS.some((fault) => matches(fault, name))) {
      const names = FAULTS.map((fault) => fault.name).join(", ");
      throw new QuorateError("USAGE", `there is no fault ${name}`, `There are: ${names}`);
    }
  }
  return FAULTS.filter((fault) => only === undefined || only.some((name) => matches(fault, name)));
}
