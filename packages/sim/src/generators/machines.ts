import type { FaultAction } from "../schedule.ts";
import { drawLengthUs, drawNode, sorted } from "./building.ts";
import type { Generator, GeneratorInput } from "./generator.ts";
import { directed } from "./directed.ts";
import { mixed } from "./mixed.ts";

const MACHINES = 3;
const MOVE_TOKENS = 2;

/** What happens to machines beside everything else: guests that end, live moves, storages out of reach. */
function machineActions(input: GeneratorInput): FaultAction[] {
  const { random, tokenUs, faultUs, cluster } = input;
  const actions: FaultAction[] = [];
  let atUs = 3 * tokenUs;
  for (let round = 0; atUs < faultUs - tokenUs; round += 1) {
    const vm = `vm${random.between(1, MACHINES)}`;
    const kind = random.pick(["vm-move", "vm-move", "vm-move", "vm-end", "storage-gone"] as const);
    if (kind === "vm-move") actions.push({ atUs, kind, vm, to: random.pick(cluster.nodes).id });
    else if (kind === "vm-end") actions.push({ atUs, kind, vm });
    else {
      const node = random.chance(0.2) ? ("all" as const) : drawNode(input, `s${round}`);
      actions.push({ atUs, kind, node, forUs: drawLengthUs(random, 2 * tokenUs) });
    }
    atUs += Math.round(tokenUs * MOVE_TOKENS * 2 * random.next());
  }
  return actions;
}

function withMachines(base: Generator, weight: number): Generator {
  return {
    name: `machines-${base.name}`,
    about: `${base.about}; with virtual machines that move, end and lose their storage`,
    weight,
    generate(input) {
      const schedule = base.generate(input);
      const actions = sorted([...schedule.actions, ...machineActions(input)]);
      return { ...schedule, machines: MACHINES, actions };
    },
  };
}

const BASES = [
  "freeze-near-cut",
  "restart-near-cut",
  "reboot-near-cut",
  "trap-near-cut",
  "slow-orders-near-cut",
];

/** Not drawn by seeds that name no generator: those stay what they were. */
export const machines: readonly Generator[] = [
  withMachines(mixed, 0),
  ...directed.filter(({ name }) => BASES.includes(name)).map((base) => withMachines(base, 0)),
];
