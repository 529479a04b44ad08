import { closeSync, constants, openSync, readFileSync, readlinkSync, statSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { QuorateError } from "@quorate/contracts";
import type { HostContext } from "../tools/host-context.ts";
import { runTool } from "../tools/run-tool.ts";
import type { Watchdog } from "./watchdog.ts";

export interface RealWatchdogOptions {
  /** Its character device. */
  readonly device: string;
  /** Whether the kernel's own will do. */
  readonly softdog: boolean;
}

/** `/dev/watchdog`: the first one, under the number that it had before there were several. */
const FIRST_MAJOR = 10;
const FIRST_MINOR = 130;
const SYSFS = "/sys/class/watchdog";
/** In wdctl's table of what the driver can: only a "V" before the close stops it; the end of a process does not. */
const MAGIC_CLOSE = /^MAGICCLOSE /m;
const SOFTDOG = "Software Watchdog";

/** A watchdog of the Linux kernel's. Documentation/watchdog/watchdog-api.rst and ABI/testing/sysfs-class-watchdog. */
export function createRealWatchdog(context: HostContext, options: RealWatchdogOptions): Watchdog {
  return new RealWatchdog(context, options);
}

interface Facts {
  readonly identity: string;
  readonly isActive: boolean;
  readonly timeoutMs: number;
  readonly noWayOut: boolean;
}

class RealWatchdog implements Watchdog {
  readonly #context: HostContext;
  readonly #options: RealWatchdogOptions;
  #file: number | null = null;

  constructor(context: HostContext, options: RealWatchdogOptions) {
    this.#context = context;
    this.#options = options;
  }

  problem(): QuorateError | null {
    if (this.#file !== null) return null;
    try {
      this.#judge(this.#read());
      return null;
    } catch (error) {
      if (error instanceof QuorateError) return error;
      throw error;
    }
  }

  async adopt(): Promise<number | null> {
    if (this.#file === null) {
      // What is not there any more runs no more. One that runs is not judged: it is fed, or it bites.
      if (!this.#isThere() || !this.#read().isActive) return null;
      this.#file = this.#open();
    }
    this.feed();
    return this.#read().timeoutMs;
  }

  async arm(timeoutMs: number): Promise<number> {
    const { device } = this.#options;
    if (this.#file === null) {
      const { isActive, timeoutMs: setMs } = this.#judge(this.#read());
      // To set one that runs is to stop it for a moment, in which this process may be stopped too.
      if (isActive && setMs > timeoutMs) throw tooLong(device, setMs, timeoutMs);
      if (!isActive) await this.#set(timeoutMs);
      this.#file = this.#open();
    }
    this.feed();
    const { isActive, timeoutMs: setMs } = this.#read();
    if (!isActive) {
      this.close();
      throw unusable(`${device} does not run although it was opened.`, "Try another driver for it.");
    }
    if (setMs <= timeoutMs) return setMs;
    this.disarm();
    throw tooLong(device, setMs, timeoutMs);
  }

  feed(): void {
    const { device } = this.#options;
    if (this.#file === null) throw missing(`${device} is not armed.`, "It is armed when it is needed.");
    try {
      writeSync(this.#file, "\0");
    } catch (error) {
      this.close();
      throw unusable(`${device} cannot be fed: ${codeOf(error)}.`, "Look at the kernel's messages (dmesg).");
    }
  }

  disarm(): void {
    const { device } = this.#options;
    if (this.#file === null) return;
    try {
      writeSync(this.#file, "V");
    } finally {
      this.close();
    }
    if (!this.#read().isActive) return;
    this.#file = this.#open();
    this.feed();
    const hint = "It is fed on. Stopping Quorate would reset this host: drain it, and reboot it.";
    throw unusable(`${device} runs on although it was told to stop.`, hint);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #open(): number {
    const { device } = this.#options;
    try {
      return openSync(device, constants.O_WRONLY);
    } catch (error) {
      const code = codeOf(error);
      if (code !== "EBUSY") throw missing(`${device} cannot be opened: ${code}.`, "It takes root.");
      const hint =
        "Leave it to one: systemd's RuntimeWatchdogSec=off, no watchdog daemon, no corosync or sbd.";
      throw unusable(`${device} is held by another program.`, hint);
    }
  }

  /** And asks what its driver can; the kernel tells that of none that is held. */
  async #set(timeoutMs: number): Promise<void> {
    const { device } = this.#options;
    const seconds = String(Math.floor(timeoutMs / 1000));
    const words = ["--settimeout", seconds, "--flags-only", "--raw", "--noheadings"];
    const { exitCode, output, errorOutput } = await runTool(this.#context, ["wdctl", ...words, device]);
    if (exitCode !== 0) {
      const hint = "Write a timeout that it can have (wdctl shows it), and leave the device to us alone.";
      throw unusable(`${device} cannot be set to ${seconds} s: ${errorOutput.trim().slice(0, 300)}`, hint);
    }
    if (MAGIC_CLOSE.test(output)) return;
    const hint = "Use a watchdog whose driver knows the magic close: wdctl shows MAGICCLOSE.";
    throw unusable(`${device} stops when its process ends: it promises nothing.`, hint);
  }

  #judge(facts: Facts): Facts {
    const { device, softdog } = this.#options;
    const { identity, noWayOut } = facts;
    if (identity === SOFTDOG && !softdog) {
      const hint = "Load a driver for the board's own, or write softdog: yes to take it as it is.";
      throw unusable(
        `${device} is the kernel's own watchdog, which stands still when the kernel does.`,
        hint,
      );
    }
    if (noWayOut) {
      const hint = "Load its driver with nowayout=0: it is taken down when no machine needs it.";
      throw unusable(`${device} cannot be taken down once it is armed.`, hint);
    }
    return facts;
  }

  #read(): Facts {
    const folder = this.#folder();
    const text = (name: string) => {
      try {
        return readFileSync(join(folder, name), "utf8").trim();
      } catch (error) {
        const what = `The kernel does not say the ${name} of ${this.#options.device}: ${codeOf(error)}.`;
        throw unusable(what, "It takes a kernel with CONFIG_WATCHDOG_SYSFS, as Debian's.");
      }
    };
    return {
      identity: text("identity"),
      isActive: text("state") === "active",
      timeoutMs: Number(text("timeout")) * 1000,
      noWayOut: text("nowayout") !== "0",
    };
  }

  #isThere(): boolean {
    return statSync(this.#options.device, { throwIfNoEntry: false }) !== undefined;
  }

  /** Where the kernel tells of it. */
  #folder(): string {
    const { device } = this.#options;
    try {
      const { rdev } = statSync(device);
      // As glibc's major() and minor() take it apart; all that occurs here is below 4096 and 1048576.
      const major = (rdev >> 8) & 0xfff;
      const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
      if (major === FIRST_MAJOR && minor === FIRST_MINOR) return join(SYSFS, "watchdog0");
      return join(SYSFS, basename(readlinkSync(`/sys/dev/char/${major}:${minor}`)));
    } catch (error) {
      const hint =
        "Load the driver of the board's watchdog, or name its device in fencing.watchdog. Old drivers (ipmi_watchdog) that /sys/class/watchdog does not show cannot be used.";
      throw missing(`There is no watchdog ${device} on this host (${codeOf(error)}).`, hint);
    }
  }
}

function tooLong(device: string, setMs: number, wantedMs: number): QuorateError {
  const what = `${device} takes ${setMs / 1000} s, more than the ${wantedMs / 1000} s that are promised.`;
  return unusable(what, "Write a timeout that this watchdog can have: wdctl shows it.");
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

function missing(message: string, hint: string): QuorateError {
  return new QuorateError("WATCHDOG_MISSING", message, hint);
}

function unusable(message: string, hint: string): QuorateError {
  return new QuorateError("WATCHDOG_UNUSABLE", message, hint);
}
