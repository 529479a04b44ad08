import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { guestsServe } from "../src/guest/care.ts";
import { sharedDisks } from "../src/guest/double-starts.ts";
import { DEFINITION_FOLDER } from "../src/guest/guests.ts";
import { MachineWatchers } from "../src/guest/watchers.ts";
import { DEFAULT_TOPOLOGY } from "../src/index.ts";
import type { LabPlan } from "../src/plan.ts";
import { waitUntil } from "../src/processes.ts";
import { ProductLab } from "./product-lab.ts";

const LIMIT_MS = 60_000;
const LOOK_MS = 100;

/** A management board for each host: a file that is there while the host has power, one by which its cut is asked for. */
class Boards {
  readonly folder: string;
  readonly #timer: NodeJS.Timeout;
  readonly cut: number[] = [];

  readonly ids: readonly number[];

  /** Below the clone, which every host sees; each has a /tmp of its own. */
  constructor(root: string, ids: readonly number[], cutPower: (id: number) => Promise<unknown>) {
    this.ids = ids;
    mkdirSync(join(root, ".lab"), { recursive: true });
    this.folder = mkdtempSync(join(root, ".lab/boards-"));
    for (const id of ids) this.powered(id);
    const agent = `#!/bin/sh
while IFS='=' read -r key value; do
  case "$key" in action) action=$value ;; plug) plug=$value ;; password) password=$value ;; esac
done
echo "$action" >> "$plug.calls"
test "$password" = hunter2 || exit 1
test ! -e "$plug.deaf" || exit 1
case "$action" in
  status) test -e "$plug" && echo "Status: ON" && exit 0; echo "Status: OFF"; exit 2 ;;
  off) touch "$plug.wanted"; exit 0 ;;
esac
exit 1
`;
    writeFileSync(this.agent, agent);
    chmodSync(this.agent, 0o755);
    writeFileSync(this.secrets, "password=hunter2\n", { mode: 0o600 });
    const underWay = new Set<number>();
    const cut = async (id: number) => {
      underWay.add(id);
      await cutPower(id);
      this.cut.push(id);
      rmSync(this.plug(id));
      rmSync(`${this.plug(id)}.wanted`);
      underWay.delete(id);
    };
    this.#timer = setInterval(() => {
      for (const id of ids) if (existsSync(`${this.plug(id)}.wanted`) && !underWay.has(id)) void cut(id);
    }, 50);
  }

  get agent(): string {
    return join(this.folder, "fence_lab");
  }

  get secrets(): string {
    return join(this.folder, "secrets");
  }

  plug(id: number): string {
    return join(this.folder, String(id));
  }

  powered(id: number): void {
    writeFileSync(this.plug(id), "on");
  }

  /** Whether its host has power is not known to it from now on. */
  deafen(id: number): void {
    writeFileSync(`${this.plug(id)}.deaf`, "");
  }

  calls(id: number): string[] {
    return readFileSync(`${this.plug(id)}.calls`, "utf8")
      .trim()
      .split("\n");
  }

  section(): string {
    const devices = this.ids.map((id) =>
      ["device {", `node: ${id}`, `agent: ${this.agent}`, "timeout: 10000", `plug: ${this.plug(id)}`]
        .concat(`secrets_file: ${this.secrets}`, "}")
        .join("\n"),
    );
    return `fencing {\n${devices.join("\n")}\n}\n`;
  }

  end(): void {
    clearInterval(this.#timer);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

let product: ProductLab;
let watchers: MachineWatchers;
let boards: Boards;

// The guests' kernel is Debian's for x86-64.
describe.runIf(process.arch === "x64")("a machine that no gate holds", () => {
  beforeAll(async () => {
    const withBoards = (plan: LabPlan) => {
      boards = new Boards(
        plan.root,
        plan.hosts.map(({ id }) => id),
        (id) => product.lab.kill(id),
      );
      for (const host of plan.hosts) host.program.configuration += boards.section();
      return plan;
    };
    product = await ProductLab.up("power-off", { ...DEFAULT_TOPOLOGY, guests: 1 }, withBoards);
    watchers = await MachineWatchers.start(product.lab);
  });

  afterAll(async () => {
    await watchers?.stop();
    await product?.down();
    boards?.end();
  });

  const ownerNow = async (): Promise<number> => {
    const { master } = await product.whole();
    const machines = await guestsServe(product.lab, watchers.guests, master, LIMIT_MS);
    const node = machines?.[0]?.node ?? null;
    if (node === null) throw new Error(`vm1 does not serve\n${product.logTails()}`);
    return node;
  };
  const answerOfVm1 = (unlike?: string) => watchers.guests.waitFor(({ run }) => run !== unlike, LIMIT_MS);
  const others = (id: number) => product.ids.filter((each) => each !== id);
  const saidAnywhere = async (ids: readonly number[], command: string[], words: string) =>
    waitUntil(
      async () => {
        const all = await Promise.all(ids.map((id) => product.quorate(id, ...command)));
        return all.some(({ stdout }) => stdout.includes(words));
      },
      LIMIT_MS,
      LOOK_MS * 3,
    );

  it("is started elsewhere when its silent host's device has cut the power, and not before", async () => {
    const { master } = await product.whole();
    const [first = 0] = others(master);
    const extra = "<interface type='user'><model type='virtio'/><rom enabled='no'/></interface>";
    const file = "/run/ungated.xml";
    const source = `${DEFINITION_FOLDER}/vm1.xml`;
    await product.shell(master, `sed "s|</interface>|</interface>${extra}|" ${source} > ${file}`);
    const defined = await product.quorate(master, "vm", "define", file, "--node", String(first));
    expect(defined.stdout).toContain("not relocatable by lease");
    const owner = await ownerNow();
    expect((await product.quorate(master, "vm", "list")).stdout).toContain("by power device");
    const before = await answerOfVm1();
    const traffic = watchers.storage.observe();
    await product.lab.partition([owner]);
    const after = await answerOfVm1(before?.run);
    expect(after?.run).not.toBe(before?.run);
    expect(boards.cut).toEqual([owner]);
    expect(boards.calls(owner).slice(0, 2)).toEqual(["status", "off"]);
    expect(sharedDisks(traffic.report())).toEqual([]);
    traffic.close();
    expect(await saidAnywhere(others(owner), ["log", "-n", "200"], "its power device says")).toBe(true);
    await product.lab.heal();
    await product.lab.start(owner);
    boards.powered(owner);
  });

  it("waits for a human where the device is deaf, and starts on his word", async () => {
    const owner = await ownerNow();
    const before = await answerOfVm1();
    boards.deafen(owner);
    const [asked = 0] = others(owner);
    const alive = await product.quorate(asked, "node", "confirm-off", String(owner), "--yes");
    expect(alive.stderr).toMatch(/is a member of the view|is the master/);
    await product.lab.kill(owner);
    expect(await saidAnywhere(others(owner), ["vm", "list"], "quorate node confirm-off")).toBe(true);
    const confirmed = await product.quorate(asked, "node", "confirm-off", String(owner), "--yes");
    expect(confirmed.stdout).toMatch(/^vm1: starts on node \d+$/m);
    const after = await answerOfVm1(before?.run);
    expect(after?.run).not.toBe(before?.run);
    expect(boards.cut).toHaveLength(1);
  });
});
