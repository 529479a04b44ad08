import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createFakeMachineGate, FakeMachineKernel, machineNumber, machineUser } from "@quorate/host";
import { createLogger, monotonicUs } from "@quorate/runtime";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadGates } from "../src/machines/load-gates.ts";
import { configFor, definitionOf, type MachineHost, MachineSite, until } from "./machine-site.ts";

const CONF = `totem {
	config_version: 1
	cluster_name: VMmanager
	transport: udpu
}
quorum {
	expected_votes: 1
}
nodelist {
	node {
		ring0_addr: 172.31.223.47
		nodeid: 4
	}
}
`;
const MACHINES = `machines {
	storage {
		address: 10.99.0.9
		port: 3260
	}
}
`;
const logger = createLogger({ service: "test", node: 4, level: "silent" });

let site: MachineSite;
let host: MachineHost;
beforeEach(async () => {
  site = new MachineSite();
  await site.start();
  host = await site.host(4, configFor([4]));
  mkdirSync(join(host.stateDir, "config"), { recursive: true });
});
afterEach(() => site.remove());

function load(kernel: FakeMachineKernel, text = CONF + MACHINES) {
  const file = join(host.stateDir, "config", "running.conf");
  writeFileSync(file, text);
  const gate = createFakeMachineGate({ nowUs: monotonicUs }, { kernel });
  return loadGates({ stateDir: host.stateDir, configFile: file, gate, logger });
}

it("holds what this host's machines and the configuration name, all shut, on a kernel that knows nothing", async () => {
  host.speak({});
  await host.define("vm1", 1);
  await until("it is written down", () => host.isOpen(1));
  const kernel = new FakeMachineKernel(monotonicUs);
  expect(await load(kernel)).toBe(
    "The gates stand, with the storages of 1 machine of this host; all are shut.",
  );
  const user = machineUser(machineNumber(/<uuid>(.*)<\/uuid>/.exec(definitionOf("vm1", 1))?.[1] ?? ""));
  for (const storage of [
    { address: "10.99.0.1", port: 10_809 },
    { address: "10.99.0.9", port: 3260 },
  ])
    expect(kernel.passesStorage(user, storage), storage.address).toBe(false);
});

it("leaves the open gates of a running node alone, and says whose they are", async () => {
  host.speak({});
  await host.define("vm1", 1);
  await until("it is open", () => host.isOpen(1));
  expect(await load(host.kernel)).toContain("vm1 is open: a node runs here.");
  expect(host.isOpen(1)).toBe(true);
});

it("does nothing where no machine is under care", async () => {
  const kernel = new FakeMachineKernel(monotonicUs);
  expect(await load(kernel, CONF)).toContain("no section machines");
  expect(kernel.storage).toBeUndefined();
});
