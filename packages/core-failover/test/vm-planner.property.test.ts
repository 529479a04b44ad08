import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OPEN_POLICY, plan, type PlanNode, type PlanPolicy, type PlanVm } from "../src/index.ts";

interface Case {
  nodes: PlanNode[];
  vms: PlanVm[];
  policy: PlanPolicy;
}

const NAMES = ["a", "b", "c", "d", "e"];
const group = fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 2, maxLength: 3 });

const small: fc.Arbitrary<Case> = fc
  .record({
    nodes: fc.array(
      fc.record({ memoryMib: fc.integer({ min: 1, max: 8 }), vcpus: fc.integer({ min: 1, max: 4 }) }),
      {
        minLength: 1,
        maxLength: 3,
      },
    ),
    vms: fc.array(
      fc.record({
        memoryMib: fc.integer({ min: 1, max: 5 }),
        vcpus: fc.integer({ min: 1, max: 3 }),
        prio: fc.integer({ min: 0, max: 2 }),
        at: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 4 }),
        only: fc.option(fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { minLength: 1 }), { freq: 4 }),
        avoid: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 1 }),
      }),
      { minLength: 1, maxLength: NAMES.length },
    ),
    policy: fc.record({
      memoryPercent: fc.constantFrom(100, 150),
      vcpuPercent: fc.constantFrom(100, 200),
      maximumPerNode: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 3 }),
      liveMovesPerNode: fc.constant(1),
      together: fc.array(group, { maxLength: 1 }),
      apart: fc.array(group, { maxLength: 1 }),
      blocked: fc.uniqueArray(fc.integer({ min: 1, max: 3 }), { maxLength: 1 }),
    }),
  })
  .map(({ nodes, vms, policy }) => ({
    nodes: nodes.map((node, index) => ({ ...node, node: index + 1 })),
    vms: vms.map((vm, index) => ({ ...vm, vm: NAMES[index] ?? "z" })),
    policy,
  }));

/** Whether this whole assignment is allowed; written anew, from the meaning of the policy. */
function isAllowed({ nodes, vms, policy }: Case, where: ReadonlyMap<string, number>): boolean {
  for (const { node, memoryMib, vcpus } of nodes) {
    const here = vms.filter((vm) => where.get(vm.vm) === node);
    const fresh = here.filter((vm) => vm.at === null);
    // What already runs there is nobody's fault; a host that is over its limits takes nothing more.
    if (fresh.length === 0) continue;
    if (policy.blocked.includes(node)) return false;
    if (policy.maximumPerNode !== null && here.length > policy.maximumPerNode) return false;
    if (here.reduce((sum, vm) => sum + vm.memoryMib, 0) * 100 > memoryMib * policy.memoryPercent)
      return false;
    if (here.reduce((sum, vm) => sum + vm.vcpus, 0) * 100 > vcpus * policy.vcpuPercent) return false;
  }
  const isFresh = (name: string) => vms.some((vm) => vm.vm === name && vm.at === null);
  const pairs = (names: readonly string[]) =>
    names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other] as const));
  const placedPairs = (groups: PlanPolicy["together"]) =>
    groups
      .flatMap(pairs)
      .filter(([one, other]) => where.has(one) && where.has(other) && (isFresh(one) || isFresh(other)));
  if (placedPairs(policy.together).some(([one, other]) => where.get(one) !== where.get(other))) return false;
  if (placedPairs(policy.apart).some(([one, other]) => where.get(one) === where.get(other))) return false;
  return vms.every((vm) => {
    const node = where.get(vm.vm);
    return node === undefined || vm.at !== null || vm.only === null || vm.only.includes(node);
  });
}

/** Whether all of these can be placed at once, by trying everything. */
function canAll(one: Case, wanted: readonly PlanVm[], where: Map<string, number>): boolean {
  const [vm, ...rest] = wanted;
  if (vm === undefined) return isAllowed(one, where);
  return one.nodes.some(({ node }) => canAll(one, rest, new Map(where).set(vm.vm, node)));
}

function bestByPriority(one: Case): Set<string> {
  const fixed = new Map(one.vms.flatMap((vm) => (vm.at === null ? [] : [[vm.vm, vm.at] as const])));
  const chosen: PlanVm[] = [];
  const order = one.vms
    .filter((vm) => vm.at === null)
    .sort((left, right) => right.prio - left.prio || (left.vm < right.vm ? -1 : 1));
  for (const vm of order) if (canAll(one, [...chosen, vm], fixed)) chosen.push(vm);
  return new Set(chosen.map(({ vm }) => vm));
}

describe("plan", () => {
  it("keeps every constraint, and leaves out only what brute force leaves out, by priority", () => {
    fc.assert(
      fc.property(small, (one) => {
        const { placed, left } = plan(one.nodes, one.vms, one.policy);
        const where = new Map(one.vms.flatMap((vm) => (vm.at === null ? [] : [[vm.vm, vm.at] as const])));
        for (const [vm, node] of placed) where.set(vm, node);
        expect(isAllowed(one, where)).toBe(true);
        expect(new Set(placed.keys())).toEqual(bestByPriority(one));
        expect(placed.size + left.size).toBe(one.vms.filter((vm) => vm.at === null).length);
        for (const reason of left.values()) expect(reason.code).toBe("VM_NO_ROOM");
      }),
      { numRuns: 1500 },
    );
  });

  it("does not depend on the order of what it is given", () => {
    fc.assert(
      fc.property(small, fc.infiniteStream(fc.integer({ min: 0, max: 99 })), (one, keys) => {
        const shuffle = <Item>(items: Item[]) =>
          items
            .map((item) => ({ item, key: keys.next().value as number }))
            .sort((left, right) => left.key - right.key)
            .map(({ item }) => item);
        const again = plan(shuffle(one.nodes), shuffle(one.vms), one.policy);
        const first = plan(one.nodes, one.vms, one.policy);
        expect(Object.fromEntries(again.placed)).toEqual(Object.fromEntries(first.placed));
      }),
    );
  });

  it("spreads equal machines over equal hosts, and prefers a host where it has not failed", () => {
    const nodes = [1, 2, 3].map((node) => ({ node, memoryMib: 1000, vcpus: 4 }));
    const vms = ["a", "b", "c", "d"].map((vm) => ({
      vm,
      memoryMib: 100,
      vcpus: 1,
      prio: 0,
      at: null,
      only: null,
      avoid: [] as number[],
    }));
    expect([...plan(nodes, vms, OPEN_POLICY).placed.values()]).toEqual([1, 2, 3, 1]);
    const avoiding = vms.slice(0, 1).map((vm) => ({ ...vm, avoid: [1, 2] }));
    expect(plan(nodes, avoiding, OPEN_POLICY).placed.get("a")).toBe(3);
  });

  it("says of every host why a machine does not fit", () => {
    const nodes = [
      { node: 1, memoryMib: 50, vcpus: 4 },
      { node: 2, memoryMib: 500, vcpus: 4 },
    ];
    const vm = { vm: "big", memoryMib: 100, vcpus: 1, prio: 0, at: null, only: null, avoid: [] };
    const { left } = plan(nodes, [vm], { ...OPEN_POLICY, blocked: [2] });
    expect(left.get("big")?.message).toBe("big fits on no host: node 1: no memory, node 2: drained.");
  });
});
