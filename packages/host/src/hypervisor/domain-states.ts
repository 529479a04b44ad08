import type { MachineState, SeenMachine } from "./hypervisor.ts";

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
 * `virsh domstats --state`: blocks of `Domain: 'name'` and `state.state=`, `state.reason=`. Domains without a process
 * are left out. A source whose migration has gone through is paused for it; a target is "starting up" until complete.
 */
export function parseDomainStates(text: string): SeenMachine[] {
  const seen: SeenMachine[] = [];
  for (const block of text.split(/^Domain: /m).slice(1)) {
    const name = /^'(.*)'$/m.exec(block)?.[1];
    const state = Number(/state\.state=(\d+)/.exec(block)?.[1]);
    const reason = Number(/state\.reason=(\d+)/.exec(block)?.[1]);
    const machine = machineState(state, reason);
    if (name !== undefined && machine !== null) seen.push({ name, state: machine });
  }
  return seen.sort((left, right) => (left.name < right.name ? -1 : 1));
}

function machineState(state: number, reason: number): MachineState | null {
  switch (state) {
    case STATE.running:
    case STATE.blocked:
    // The guest is shutting down, or sleeps: its process is there and may write.
    case STATE.shutdown:
    case STATE.suspended:
      return "running";
    case STATE.paused:
      if (reason === PAUSED.migration) return "moved-out";
      return reason === PAUSED.startingUp ? "incoming" : "paused";
    case STATE.shutoff:
      return null;
    // A crashed one's process is kept by libvirt where it is told to.
    default:
      return "paused";
  }
}
