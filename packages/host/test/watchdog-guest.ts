/**
 * Runs in a machine of its own, which has a watchdog of its kernel's: as a first process that is killed while it holds it,
 * and as the one after it. Each line says what was seen to hold.
 */
import { rejects } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRealWatchdog, monotonicNowUs } from "../src/index.ts";
import { proveWatchdog } from "./watchdog-suite.ts";

const TIMEOUT_MS = 3000;
const context = { nowUs: monotonicNowUs };
const make = () => createRealWatchdog(context, { device: "/dev/watchdog", softdog: true });
const see = () => ({ armed: read("state") === "active", timeoutMs: Number(read("timeout")) * 1000 });

function read(name: string): string {
  return readFileSync(`/sys/class/watchdog/watchdog0/${name}`, "utf8").trim();
}

function say(text: string): void {
  process.stdout.write(`seen: ${text}\n`);
}

async function first(): Promise<void> {
  await proveWatchdog(make, see);
  say("proved");
  const hardwareAlone = createRealWatchdog(context, { device: "/dev/watchdog", softdog: false });
  await rejects(hardwareAlone.arm(5000), { code: "WATCHDOG_UNUSABLE" });
  say("refused");
  // Longer than the next process takes to come up here.
  await make().arm(60_000);
  process.kill(process.pid, "SIGKILL");
}

async function second(): Promise<void> {
  if (see().armed) say("outlives its process");
  const watchdog = make();
  await watchdog.arm(60_000);
  watchdog.disarm();
  if (!see().armed) say("taken over");
  await watchdog.arm(TIMEOUT_MS);
  const endUs = monotonicNowUs() + 3 * TIMEOUT_MS * 1000;
  const feeding = setInterval(() => {
    watchdog.feed();
    if (monotonicNowUs() < endUs) return;
    clearInterval(feeding);
    say("fed");
    // Lives on, and feeds it no more.
    setInterval(() => {}, 1000);
  }, TIMEOUT_MS / 5);
}

await (process.argv[2] === "first" ? first() : second());
