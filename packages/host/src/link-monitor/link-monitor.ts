export type LinkEvent =
  | {
      readonly kind: "address";
      readonly change: "added" | "removed";
      readonly device: string;
      readonly address: string;
    }
  | {
      readonly kind: "link";
      readonly change: "changed" | "removed";
      readonly device: string;
      readonly carrier: boolean;
    }
  /** The source was lost and is back: anything may have changed meanwhile. */
  | { readonly kind: "restarted" };

/**
 * Tells at once when an address or a link of this host changed. Events wake a loop up; they never carry the truth:
 * inspect afterwards. They can come doubled and, over a restart, be lost (`restarted` says so).
 */
export interface LinkMonitor {
  /** Calls the listener for every event until the returned function is called. */
  listen(listener: (event: LinkEvent) => void): () => void;
  /** Starts listening to the kernel; resolves when from here on no event is missed. Throws QuorateError TOOL_MISSING. */
  start(): Promise<void>;
  close(): Promise<void>;
}
