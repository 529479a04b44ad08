import type { HostContext } from "../tools/host-context.ts";
import type { Gate } from "./gate.ts";
import { LeaseGate, type LeaseGateOptions } from "./lease-gate.ts";
import { NftFilter } from "./nft-filter.ts";

export interface RealGateOptions extends LeaseGateOptions {
  /** How long nft may take for one transaction before it is killed and started anew. Default 200 ms. */
  readonly answerTimeoutMs?: number;
}

/** The gate on this kernel's nftables. Needs root, nft, and for `holdsRawFrames` Linux 5.16. */
export function createRealGate(context: HostContext, options: RealGateOptions = {}): Gate {
  return new LeaseGate(context, new NftFilter(context, options.answerTimeoutMs ?? 200), options);
}
