import type { DocumentTools, RecordedTools } from "@quorate/core-config";
import { InputRecorder, type RecordedService } from "@quorate/runtime";

/** Small, so that a short run fills several. */
export const SEGMENT_STEPS = 250;

interface Entry {
  service: RecordedService;
  recorder: InputRecorder<object, unknown>;
  /** After the last step. */
  state: object;
  steps: number;
}

/** Every process that stepped while `switches.recording`, each with its recorder as the services have it. */
export const entries: Entry[] = [];
export const switches: {
  recording: boolean;
  planted: ((service: RecordedService, result: object) => object) | null;
  /** Set once the packages are loaded: what replaces a package's file cannot import that package. */
  recordTools: ((tools: DocumentTools) => RecordedTools) | null;
} = { recording: false, planted: null, recordTools: null };

const byState = new WeakMap<object, Entry>();

/** The core's step as it is, through the recorder of the process whose state it is. */
export function watched<Args extends unknown[], Result extends { state: object }>(
  service: RecordedService,
  step: (...args: Args) => Result,
  asInput: (args: Args) => { input: unknown; args: Args },
): (...args: Args) => Result {
  return (...given) => {
    if (!switches.recording) {
      const result = step(...given);
      return (switches.planted?.(service, result) as Result | undefined) ?? result;
    }
    const before = given[0] as object;
    let entry = byState.get(before);
    if (entry === undefined) {
      entry = { service, recorder: new InputRecorder({ steps: SEGMENT_STEPS }), state: before, steps: 0 };
      entries.push(entry);
    }
    const { input, args } = asInput(given);
    const result = entry.recorder.run(before, input, () => step(...args));
    entry.state = result.state;
    entry.steps += 1;
    byState.set(result.state, entry);
    return result;
  };
}
