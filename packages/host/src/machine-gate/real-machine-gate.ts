import type { RealGateOptions } from "../gate/real-gate.ts";
import type { HostContext } from "../tools/host-context.ts";
import { LeaseMachineGate } from "./lease-machine-gate.ts";
import type { MachineGate } from "./machine-gate.ts";
import { RealMachineSockets } from "./machine-sockets.ts";
import { NftMachineFilter } from "./nft-machine-filter.ts";

/** The machines' gate on this kernel's nftables. Needs root, nft and ss. */
export function createRealMachineGate(context: HostContext, options: RealGateOptions = {}): MachineGate {
  const filter = new NftMachineFilter(context, options.answerTimeoutMs ?? 200);
  return new LeaseMachineGate(context, filter, new RealMachineSockets(context), options);
}
