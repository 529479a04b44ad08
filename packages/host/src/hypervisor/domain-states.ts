/** Libvirt's virDomainState and virDomainPausedReason, as `domstats` prints them. */
const STATE = {
  running: 1,
  blocked: 2,
  paused: 3,
  shutdown: 4,
  shutoff: 5,
  crashed: 6,
  suspended: 7,
} as const;
const PAUSED = { migration: 2, startingUp: 11 } as const;

/**
 * What libvirt tells of a domain's process at once. Measured with libvirt 9.0 on a live move that leaves its target
 * paused: the target is `starting` at first, then `between`, then `paused`; the source is `running`, for moments
 * `between`, and then has no process. What tells more is the domain's jobs.
 */
export interface DomainProcess {
  readonly name: string;
  readonly process: "running" | "paused" | "starting" | "between";
}

/** `virsh domstats --state`: blocks of `Domain: 'name'` and `state.state=`, `state.reason=`. None without a process. */
export function parseDomainStates(text: string): DomainProcess[] {
  const seen: DomainProcess[] = [];
  for (const block of text.split(/^Domain: /m).slice(1)) {
    const name = /^'(.*)'$/m.exec(block)?.[1];
    const state = Number(/state\.state=(\d+)/.exec(block)?.[1]);
    const reason = Number(/state\.reason=(\d+)/.exec(block)?.[1]);
    const process = processOf(state, reason);
    if (name !== undefined && process !== null) seen.push({ name, process });
  }
  return seen.sort((left, right) => (left.name < right.name ? -1 : 1));
}

function processOf(state: number, reason: number): DomainProcess["process"] | null {
  switch (state) {
    case STATE.running:
    case STATE.blocked:
    // The guest is shutting down, or sleeps: its process is there and may write.
    case STATE.shutdown:
    case STATE.suspended:
      return "running";
    case STATE.paused:
      if (reason === PAUSED.startingUp) return "starting";
      return reason === PAUSED.migration ? "between" : "paused";
    case STATE.shutoff:
      return null;
    // A crashed one's process is kept by libvirt where it is told to.
    default:
      return "paused";
  }
}

/** The jobs of one domain, as far as they tell of moves. */
export interface DomainJobs {
  /** The source of a move under way. */
  readonly leaving: boolean;
  /** Libvirt refuses to tell it at a move's target, until that is complete. */
  readonly arriving: boolean;
  /** The last job that ended was a move to here. */
  readonly arrived: boolean;
}

/** One line for virsh that asks for the jobs of all of them; `parseDomainJobs` reads what it says. */
export function domainJobsCommand(domains: readonly DomainProcess[]): string {
  const asked = domains.flatMap(({ name, process }) => {
    const now = `domjobinfo '${name}'`;
    const before = `echo <before>; domjobinfo '${name}' --completed`;
    // A quiet virsh ends no line with it.
    const head = `echo <machine>${name}<now>`;
    // Reading it without keeping drops it: one that runs has been resumed, and its arrival is history.
    if (process === "running") return [head, now, before];
    // This takes no lock of the domain.
    return process === "paused" ? [head, `${before} --keep-completed`] : [head, now];
  });
  // virsh judges by its last command: a domain that has ended since is no failure, a libvirtd that has is one.
  return [...asked, "hostname"].join("; ");
}

export function parseDomainJobs(text: string): Map<string, DomainJobs> {
  const jobs = new Map<string, DomainJobs>();
  for (const block of text.split("<machine>").slice(1)) {
    const [name = "", now = "", before = ""] = block.split(/<now>|<before>/);
    jobs.set(name, {
      leaving: /^Operation:\s+Outgoing migration/m.test(now),
      arriving: !now.includes("Job type:"),
      arrived: /^Operation:\s+Incoming migration/m.test(before),
    });
  }
  return jobs;
}
