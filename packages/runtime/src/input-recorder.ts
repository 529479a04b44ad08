import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { QuorateError } from "@quorate/contracts";
import { rememberForCrash } from "./crash-recording.ts";
import { RECORDING_FORMAT } from "./sealed-recording.ts";
import { encodeTagged } from "./tagged-json.ts";
import { QUORATE_VERSION } from "./version.ts";

/** What one segment may hold; two are kept. With three nodes a segment is about 20 seconds. */
const SEGMENT_STEPS = 1024;
const SEGMENT_BYTES = 1_000_000;
/** The size of every so many-th step stands for the others: measuring costs what it measures. */
const MEASURE_EVERY = 64;
/** Steps written between two turns of the event loop while a recording is made. */
const WRITE_BATCH = 32;

interface Segment {
  /** The core's state before the first step, as text: the state itself may change in place. */
  state: string;
  inputs: unknown[];
  decisions: unknown[];
  bytes: number;
}

export interface RecordingSource {
  service: string;
  node: number;
}

const compress = promisify(gzip);

/**
 * Keeps what a core was given and what it decided, so that the same core can be asked again (`quorate replay`).
 * A step costs two references: inputs and decisions are plain data that nobody changes, and are made text only when
 * somebody asks; the state, which may change in place, is made text once in `SEGMENT_STEPS`. Bounded in steps and (by
 * a sample) in bytes: the older of two segments is dropped when the younger is full. Holds nothing but what cores see;
 * no key and no password is among that.
 */
export class InputRecorder<State, Input> {
  readonly #limits: { steps: number; bytes: number };
  #failure: string | null = null;
  #older: Segment | null = null;
  #younger: Segment | null = null;
  #last: State | null = null;

  /** `limits`: what one segment may hold. */
  constructor(limits: { steps?: number; bytes?: number } = {}) {
    this.#limits = { steps: SEGMENT_STEPS, bytes: SEGMENT_BYTES, ...limits };
    rememberForCrash(this);
  }

  /**
   * Takes `step`, which applies `input` to `state`, and answers what it answers; an error is recorded and thrown on.
   * Recording itself never throws: what cannot be recorded ends the recording, and `dump` says so.
   */
  run<Result extends { state: State }>(state: State, input: Input, step: () => Result): Result {
    const segment = this.#segmentFor(state);
    if (segment === null) return step();
    segment.inputs.push(input);
    this.#last = state;
    try {
      const result = step();
      this.#last = result.state;
      const { state: _, ...decided } = result;
      segment.decisions.push(decided);
      if (segment.inputs.length % MEASURE_EVERY === 1) {
        segment.bytes += (this.#text([input, decided])?.length ?? 0) * MEASURE_EVERY;
      }
      return result;
    } catch (error) {
      segment.decisions.push({ thrown: String(error) });
      throw error;
    }
  }

  /** Steps that are kept at present. */
  get steps(): number {
    return (this.#older?.inputs.length ?? 0) + (this.#younger?.inputs.length ?? 0);
  }

  /**
   * The recording up to now, compressed; `state` is the core's state after the last step. Written in small pieces,
   * so that the service goes on meanwhile. Throws QuorateError RECORDING_INVALID when something could not be recorded.
   */
  async dump(source: RecordingSource, state: State): Promise<Uint8Array> {
    const lines: string[] = [];
    for (const line of this.#lines(source, state)) {
      lines.push(line);
      if (lines.length % WRITE_BATCH === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return compress(`${lines.join("\n")}\n`, { level: 1 });
  }

  /**
   * The same lines at once, for a process that is about to end: the state is the one after the last step, or before it
   * when that step threw. Throws as `dump`; empty when there was no step.
   */
  lastWords(source: RecordingSource): string {
    if (this.#last === null) return "";
    return `${[...this.#lines(source, this.#last)].join("\n")}\n`;
  }

  /** What was given until now; steps taken while the lines are read are not among them. */
  #lines(source: RecordingSource, state: State): Generator<string> {
    if (this.#failure !== null) {
      const what = `${source.service} of node ${source.node} could not be recorded: ${this.#failure}.`;
      throw new QuorateError("RECORDING_INVALID", what, "Please report it; nothing else is affected.");
    }
    const last = encodeTagged(state);
    const segments = [this.#older, this.#younger].flatMap((segment) =>
      segment === null
        ? []
        : [{ ...segment, inputs: segment.inputs.slice(), decisions: segment.decisions.slice() }],
    );
    return linesOf(source, segments, last);
  }

  #segmentFor(state: State): Segment | null {
    if (this.#failure !== null) return null;
    const younger = this.#younger;
    if (younger !== null) {
      const { steps, bytes } = this.#limits;
      if (younger.inputs.length < steps && younger.bytes < bytes) return younger;
    }
    const text = this.#text(state);
    if (text === null) return null;
    this.#older = younger;
    this.#younger = { state: text, inputs: [], decisions: [], bytes: 0 };
    return this.#younger;
  }

  #text(value: unknown): string | null {
    try {
      return encodeTagged(value);
    } catch (error) {
      this.#failure = String(error);
      return null;
    }
  }
}

function* linesOf(source: RecordingSource, segments: readonly Segment[], last: string): Generator<string> {
  const header = {
    kind: "service",
    format: RECORDING_FORMAT,
    version: QUORATE_VERSION,
    build: programDigest(process.argv[1] ?? ""),
    ...source,
    recordedAt: new Date().toISOString(),
  };
  yield JSON.stringify(header);
  const digest = createHash("sha256");
  let steps = 0;
  for (const segment of segments) {
    yield `{"kind":"segment","state":${segment.state}}`;
    for (const [index, input] of segment.inputs.entries()) {
      const decided = encodeTagged(segment.decisions[index]);
      digest.update(decided).update("\n");
      yield `{"kind":"step","input":${encodeTagged(input)},"decided":${decided}}`;
      steps += 1;
    }
  }
  yield `{"kind":"end","steps":${steps},"decisions":"${digest.digest("hex")}","state":${last}}`;
}

/** Tells two builds of one version apart: the digest of a program's one file; "unknown" when it cannot be read. */
export function programDigest(path: string): string {
  try {
    return createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 12);
  } catch {
    return "unknown";
  }
}
