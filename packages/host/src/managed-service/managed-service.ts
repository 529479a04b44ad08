export type ServiceState =
  | { readonly kind: "stopped" }
  /** `pid` is null where the service manager does not tell. */
  | { readonly kind: "running"; readonly pid: number | null }
  /** It ended without being asked to. */
  | { readonly kind: "failed"; readonly message: string };

export interface ReadinessTarget {
  readonly address: string;
  readonly port: number;
}

export type Readiness =
  | { readonly ready: true }
  /** The first target that does not answer, and why. */
  | { readonly ready: false; readonly target: ReadinessTarget; readonly message: string };

/** What serves on the cluster address. Outlives us and is adopted by our successor. */
export interface ManagedService {
  /** Starts it; does nothing while it runs. Does not wait for readiness. Throws SERVICE_FAILED, TOOL_MISSING. */
  start(): Promise<void>;
  /** Asks it to end, and after the grace makes it. Resolves when nothing of it runs. Throws SERVICE_FAILED. */
  stop(graceUs: number): Promise<void>;
  inspect(): Promise<ServiceState>;
  /** Calls the listener when the service may have ended (adopted ones too), until the returned function is called. */
  listen(listener: () => void): () => void;
  /** Stops watching; leaves the service running. */
  close(): Promise<void>;
}

/** Asks whether something answers on every target. */
export interface ReadinessProbe {
  /**
   * One try on each target, all at once, at most `timeoutUs`: a TCP connection, then an HTTP GET. Whoever answers HTTP
   * must answer below 500; any other answer, hanging up included, is ready too. Silence is not: a frozen service's
   * connections are still accepted, by the kernel.
   */
  check(targets: readonly ReadinessTarget[], timeoutUs: number): Promise<Readiness>;
}
