import type { NodeId } from "@quorate/contracts";
import type { Host } from "./host.ts";
import type { Random } from "./random.ts";

const CROSS_LEAST_US = 500;
const CROSS_MOST_US = 3000;
const SECOND_US = 1_000_000;

export type RoutesSurroundings = {
  nowUs(): number;
  at(atUs: number, run: () => void): void;
  hosts(): ReadonlyMap<NodeId, Host>;
  connects(left: NodeId, right: NodeId): boolean;
  random: Random;
};

type Route = {
  connected: boolean;
  served: boolean;
  cutAtUs: number;
  healsAtUs: number;
  /** The last time without a way in both directions. */
  lastBreak: { fromUs: number; toUs: number };
};

/**
 * The routes between the nats-servers: TCP, so a cut loses what is under way, and after the heal it takes seconds
 * until something crosses again (measured: 7 s after 20 s of silence), about one when membership resets the route.
 */
export class Routes {
  /** Nodes that no route reaches, whatever the heartbeats do: a port that is blocked. */
  readonly blocked = new Set<NodeId>();
  private readonly routes = new Map<string, Route>();
  private readonly around: RoutesSurroundings;

  constructor(around: RoutesSurroundings) {
    this.around = around;
  }

  /** The network or a server has changed: looks at every pair anew. */
  look(): void {
    const nodes = [...this.around.hosts().keys()];
    for (const left of nodes) {
      for (const right of nodes) if (left < right) this.lookAt(left, right);
    }
  }

  carry(from: NodeId, to: NodeId, arrive: () => void): void {
    const { random, nowUs, at } = this.around;
    const crossUs = random.between(CROSS_LEAST_US, CROSS_MOST_US);
    if (!this.carries(from, to)) return;
    at(nowUs() + crossUs, () => {
      if (this.carries(from, to)) arrive();
    });
  }

  /** Membership hears the peer again and has the dead route's sockets reset. */
  breakBetween(left: NodeId, right: NodeId): void {
    const route = this.route(left, right);
    if (!route.connected || !route.served) return;
    const soonUs = this.around.nowUs() + this.around.random.between(SECOND_US / 5, SECOND_US);
    route.healsAtUs = Math.min(route.healsAtUs, soonUs);
  }

  /** When the wires between the two were last broken, in either direction; zeros when they never were. */
  lastBreak(left: NodeId, right: NodeId): { fromUs: number; toUs: number } {
    return this.route(left, right).lastBreak;
  }

  private carries(from: NodeId, to: NodeId): boolean {
    const route = this.route(from, to);
    return route.connected && route.served && this.around.nowUs() >= route.healsAtUs;
  }

  private lookAt(left: NodeId, right: NodeId): void {
    const { random, nowUs } = this.around;
    const route = this.route(left, right);
    const connected = this.reaches(left, right);
    const served = this.serves(left) && this.serves(right);
    if (!connected && route.connected) route.cutAtUs = nowUs();
    if (connected && !route.connected) route.lastBreak = { fromUs: route.cutAtUs, toUs: nowUs() };
    // A server that starts dials anew; sockets that were cut for long wait for their next attempt.
    const isStale = connected && !route.connected && nowUs() - route.cutAtUs >= 3 * SECOND_US;
    if ((connected && !route.connected) || (served && !route.served)) {
      const waitUs =
        isStale && route.served
          ? random.between(SECOND_US, 7 * SECOND_US)
          : random.between(SECOND_US / 10, (SECOND_US * 3) / 2);
      route.healsAtUs = nowUs() + waitUs;
    }
    route.connected = connected;
    route.served = served;
  }

  private serves(node: NodeId): boolean {
    const host = this.around.hosts().get(node);
    return host !== undefined && host.up && host.bus.isUp;
  }

  private reaches(left: NodeId, right: NodeId): boolean {
    return !this.blocked.has(left) && !this.blocked.has(right) && this.around.connects(left, right);
  }

  private route(left: NodeId, right: NodeId): Route {
    const key = left < right ? `${left}-${right}` : `${right}-${left}`;
    let route = this.routes.get(key);
    if (route === undefined) {
      const connected = this.reaches(left, right);
      const lastBreak = { fromUs: 0, toUs: 0 };
      route = { connected, served: false, cutAtUs: 0, healsAtUs: 0, lastBreak };
      this.routes.set(key, route);
    }
    return route;
  }
}
