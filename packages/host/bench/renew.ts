// Prints what renewing, shutting and inspecting the gate cost: node packages/host/bench/renew.ts [ROUNDS]
import { readFileSync } from "node:fs";
import { createRealAddress } from "../src/address/real-address.ts";
import { createRealGate } from "../src/gate/real-gate.ts";
import { createIpTool } from "../src/tools/ip-tool.ts";
import { Cable, pauseMs } from "../test/namespaces.ts";

const rounds = Number(process.argv[2] ?? "300");
const cable = new Cable();
const gate = createRealGate(cable.context);
const tool = createIpTool(cable.context);
const address = createRealAddress(tool);
const vips = [{ address: "10.9.0.100", family: 4, device: "net0" }] as const;
const ip = { ...vips[0], prefixLength: 24 };

/** CPU microseconds of this process and of the tools it keeps open (ticks of 10 ms: only good over many rounds). */
function cpuUs(): number {
  const own = process.cpuUsage();
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
  let ticks = 0;
  for (const child of children.filter((pid) => pid !== "")) {
    const fields = readFileSync(`/proc/${child}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return own.user + own.system + ticks * 10_000;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function measure(what: string, act: () => Promise<unknown>): Promise<void> {
  await act();
  const tookUs: number[] = [];
  const beforeUs = cpuUs();
  for (let round = 0; round < rounds; round += 1) {
    const startUs = cable.context.nowUs();
    await act();
    tookUs.push(cable.context.nowUs() - startUs);
    await pauseMs(5);
  }
  const perRoundUs = (cpuUs() - beforeUs) / rounds;
  tookUs.sort((a, b) => a - b);
  const at = (part: number): number => tookUs[Math.floor(part * (rounds - 1))] ?? 0;
  say(
    `${what.padEnd(24)} median ${at(0.5)} us  p99 ${at(0.99)} us  max ${at(1)} us  ` +
      `CPU ${perRoundUs.toFixed(0)} us  (n ${rounds})`,
  );
}

try {
  await gate.load(vips);
  await measure("renew, one IPv4 address", () =>
    gate.renew({
      addresses: ["10.9.0.100"],
      leaseEndUs: cable.context.nowUs() + 1_000_000,
      permitUs: 50_000,
    }),
  );
  await measure("inspect", () => gate.inspect());
  await measure("shut, read back", () => gate.shut());
  await measure("refresh the address", () => address.refresh(ip, 30));
  await measure("inspect the address", () => address.inspect(ip));
  say(`load average ${readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 3).join(" ")}`);
} finally {
  await gate.close();
  await tool.close();
  cable.remove();
}
