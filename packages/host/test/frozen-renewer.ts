// Run by gate-real.test.ts: renews once and stops itself (SIGSTOP) between calculating the timeout and committing it.
// Arguments: network namespace, lease in microseconds, permit in microseconds. Prints the result as JSON.
import { createRealGate } from "../src/gate/real-gate.ts";
import { monotonicNowUs } from "../src/tools/host-context.ts";

const [namespace = "", leaseUs = "", permitUs = ""] = process.argv.slice(2);
const context = { nowUs: monotonicNowUs, commandPrefix: ["nsenter", `--net=/run/netns/${namespace}`] };
const gate = createRealGate(context, {
  beforeCommit: () => {
    process.kill(process.pid, "SIGSTOP");
  },
});
await gate.load([{ address: "10.9.0.100", family: 4, device: "net0" }]);
const renewal = await gate.renew({
  addresses: ["10.9.0.100"],
  leaseEndUs: monotonicNowUs() + Number(leaseUs),
  permitUs: Number(permitUs),
});
process.stdout.write(`${JSON.stringify({ renewal, late: gate.stats().lateAcknowledgements })}\n`);
await gate.close();
