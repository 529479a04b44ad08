// Run by machine-gate-figures.lab.test.ts: opens one machine for one lease, says when it ends, and stops itself (SIGSTOP).
// Arguments: network namespace, lease and permit in microseconds.
import { createRealMachineGate } from "../src/machine-gate/real-machine-gate.ts";
import { monotonicNowUs } from "../src/tools/host-context.ts";
import { ALPHA, STORAGE } from "./machine-gate-world.ts";

const [namespace = "", leaseUs = "", permitUs = ""] = process.argv.slice(2);
const context = { nowUs: monotonicNowUs, commandPrefix: ["nsenter", `--net=/run/netns/${namespace}`] };
const gate = createRealMachineGate(context, { answerTimeoutMs: 2_000 });
await gate.load([ALPHA], STORAGE);
const leaseEndUs = monotonicNowUs() + Number(leaseUs);
const open = [{ vm: ALPHA.vm, network: true, storage: true }];
const { outcome } = await gate.renew({ open, leaseEndUs, permitUs: Number(permitUs) });
process.stdout.write(`${outcome} ${leaseEndUs}\n`, () => process.kill(process.pid, "SIGSTOP"));
