/** Everybody who looks at a lab's guests from outside, begun and ended together. */
import { QuorateError } from "@quorate/contracts";
import { type GuestAnswer, type GuestObservation, GuestWatch } from "../guest-watch.ts";
import type { Lab } from "../lab.ts";
import { type StorageObservation, StorageWatch } from "../storage-watch.ts";
import { DecisionLog } from "./decisions.ts";
import { type DoubleStart, doubleStarts } from "./double-starts.ts";
import { LibvirtWatch } from "./libvirt-watch.ts";
import { Pauses } from "./pauses.ts";
import { PortWatch } from "./port-watch.ts";
import { Relocation } from "./relocation.ts";

export type MachineWindow = {
  verdict: () => { doubleStarts: DoubleStart[]; lostWrites: number };
  close: () => void;
};

export class MachineWatchers {
  readonly guests: GuestWatch;
  readonly storage: StorageWatch;
  readonly decisions: DecisionLog;
  readonly libvirt: LibvirtWatch;
  readonly #lab: Lab;
  /** By guest: the run that answered last. */
  readonly #runs = new Map<string, string>();

  private constructor(lab: Lab, guests: GuestWatch, storage: StorageWatch) {
    this.#lab = lab;
    this.guests = guests;
    this.storage = storage;
    this.decisions = DecisionLog.start(lab);
    this.libvirt = LibvirtWatch.start(lab);
    guests.onAnswer(({ guest, run }) => this.#runs.set(guest, run));
  }

  static async start(lab: Lab): Promise<MachineWatchers> {
    const guests = await GuestWatch.start(lab);
    try {
      return new MachineWatchers(lab, guests, await StorageWatch.start(lab));
    } catch (error) {
      await guests.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.decisions.stop();
    this.libvirt.stop();
    await Promise.all([this.guests.stop(), this.storage.stop()]);
  }

  /** Follows what becomes of these guests of a host that is about to fail. */
  relocation(
    oldHost: number,
    guests: readonly string[],
    onAnswer?: (answer: GuestAnswer) => void,
  ): { relocation: Relocation; end: () => void } {
    const runs = new Map(guests.map((guest) => [guest, this.#runs.get(guest) ?? ""]));
    const relocation = new Relocation(oldHost, runs, onAnswer);
    const ends = [
      this.decisions.listen((decision) => relocation.decided(decision)),
      this.libvirt.listen((event) => relocation.happened(event)),
      this.guests.onAnswer((answer) => relocation.answered(answer)),
    ];
    return {
      relocation,
      end: () => {
        for (const end of ends) end();
      },
    };
  }

  /** Follows when these guests come to stand still on this host, as libvirt says. */
  paused(host: number, guests: readonly string[]): Pauses {
    const pauses = new Pauses(host, guests);
    pauses.ends.push(this.libvirt.listen((event) => pauses.take(event)));
    return pauses;
  }

  watchPort(host: number): Promise<PortWatch> {
    return PortWatch.start(this.#lab, host);
  }

  /** A window of time that begins now: did a guest run twice, was an answered number lost? */
  observe(): MachineWindow {
    const answers: GuestObservation = this.guests.observe();
    const traffic: StorageObservation = this.storage.observe();
    return {
      verdict: () => {
        this.check();
        const disks = this.guests.verify();
        return {
          doubleStarts: doubleStarts(answers.report(), disks, traffic.report()),
          lostWrites: disks.reduce((sum, { lost }) => sum + lost.length, 0),
        };
      },
      close: () => {
        answers.close();
        traffic.close();
      },
    };
  }

  /** Throws when one of them ended by itself: what was not seen then means nothing. */
  check(): void {
    const failure = this.guests.failure ?? this.storage.failure;
    if (failure !== null) throw new QuorateError("TOOL_FAILED", failure, "Start it again.");
  }
}
