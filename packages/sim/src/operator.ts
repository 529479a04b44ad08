import { compareConfigRefs, type NodeId } from "@quorate/contracts";
import { configOf, withNode } from "./documents.ts";
import type { Host } from "./host.ts";
import type { World } from "./world.ts";

const AGAIN_US = 500_000;
const GIVE_UP_US = 10_000_000;
const LOOK_US = 20_000;

/** People at the command line: they ask some node, look at the answer, and try again. */
export class Operator {
  private readonly world: World;
  private readonly draining = new Set<Host>();

  constructor(world: World) {
    this.world = world;
  }

  /** `quorate move`: asked of every node, only the master takes it. */
  move(target: NodeId): void {
    for (const host of this.world.hosts.values())
      host.evaluator.order({ kind: "move", target }, (refusal) =>
        this.world.tell(() => `node ${host.id} operator move to ${target}: ${refusal?.code ?? "taken"}`),
      );
  }

  /** A clean stop, as the supervisor does it: drain, take down, goodbye; started again after `downUs`. */
  drain(host: Host, downUs: number): void {
    const { world } = this;
    const { boot } = host;
    const here = () => host.up && host.boot === boot && this.draining.has(host);
    this.draining.add(host);
    host.evaluator.order({ kind: "drain" }, () => {});
    const drainedUs = world.nowUs + 2 * world.tokenUs;
    const awaitDrained = () => {
      if (!here()) return;
      if (!host.evaluator.isDrained && host.evaluator.running && world.nowUs < drainedUs)
        return world.at(world.nowUs + LOOK_US, awaitDrained);
      host.actuator.takeDown();
      awaitTakenDown(world.nowUs + 3_000_000);
    };
    const awaitTakenDown = (untilUs: number) => {
      if (!here()) return;
      if (!host.actuator.isTakenDown && host.actuator.running && world.nowUs < untilUs)
        return world.at(world.nowUs + LOOK_US, () => awaitTakenDown(untilUs));
      host.membership.goodbye();
      world.at(world.nowUs + 50_000, () => {
        if (!here()) return;
        this.draining.delete(host);
        for (const process of host.processes) {
          process.kill();
          host.startLater(process.name, downUs);
        }
      });
    };
    world.at(world.nowUs + LOOK_US, awaitDrained);
  }

  /** A stop under way is given up, and what it had told to end is killed; whether there was one. */
  breakOffDrain(host: Host): boolean {
    if (!this.draining.delete(host)) return false;
    for (const process of host.processes) process.kill();
    return true;
  }

  /** Asks `via` for a change of the document it has; tried again until it is made or ten seconds have passed. */
  change(via: Host, edit: (text: string) => string | null, made: () => void = () => {}): void {
    const { world } = this;
    const untilUs = world.nowUs + GIVE_UP_US;
    const attempt = () => {
      if (world.nowUs >= untilUs || !world.faulty) return;
      const asked = via.distributor.state?.stored;
      const text = asked === undefined ? null : edit(asked.text);
      if (asked === undefined) return world.at(world.nowUs + AGAIN_US, attempt);
      if (text === null) return;
      // Made before, by an answer that was lost; that it is stored there does not mean that it will stay.
      const committed = via.evaluator.state?.committed ?? null;
      if (text === asked.text && committed !== null && compareConfigRefs(committed, asked.ref) === 0)
        return made();
      if (text === asked.text) return world.at(world.nowUs + AGAIN_US, attempt);
      let answered = false;
      const reason = { code: "OPERATOR", message: "An operator's change." };
      via.distributor.propose({ base: asked.ref, text, reason, forwarded: false }, (result) => {
        answered = true;
        world.tell(
          () => `node ${via.id} operator change: ${result.ok ? "made" : `${result.code} ${result.message}`}`,
        );
        if (result.ok) made();
        else world.at(world.nowUs + AGAIN_US, attempt);
      });
      world.at(world.nowUs + 7_000_000, () => {
        if (!answered) attempt();
      });
    };
    attempt();
  }

  setPrio(via: Host, id: NodeId, prio: number): void {
    this.change(via, (text) => {
      const node = configOf(text).nodes.find((each) => each.id === id);
      return node === undefined ? null : withNode(text, id, { ...node, prio });
    });
  }

  setVotes(via: Host, id: NodeId, votes: number): void {
    this.change(via, (text) => {
      const node = configOf(text).nodes.find((each) => each.id === id);
      return node === undefined ? null : withNode(text, id, { ...node, votes });
    });
  }

  /** The list first; then the host is initialised with a document that names it, and switched on. */
  addNode(via: Host, id: NodeId, prio: number): void {
    const { world } = this;
    this.change(
      via,
      (text) => withNode(text, id, { id, prio, votes: 1 }),
      () => {
        const naming = [...world.hosts.values()].find((host) =>
          configOf(host.disk.document.text).nodes.some((node) => node.id === id),
        );
        if (naming !== undefined && !world.hosts.has(id))
          world.addHost(id, naming.disk.document.text).powerOn();
      },
    );
  }

  removeNode(via: Host, host: Host): void {
    host.powerOff();
    this.change(via, (text) => withNode(text, host.id, null));
  }
}
