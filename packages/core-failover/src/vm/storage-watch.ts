import { assertNever, type Reason } from "@quorate/contracts";
import type { StepError } from "../step.ts";
import { sortedKeys } from "./words.ts";

/** A storage that answers is asked again after this long: its loss is known some three seconds later. */
const CALM_US = 2_000_000;
/** A lost packet is sent anew by the kernel after a second: with less patience it would pass for a lost storage. */
export const STORAGE_LOOK_LIMIT_US = 1_200_000;
/** One look may fail by chance; so many in a row do not. */
const GONE_AFTER = 3;
const AGAIN_US = 250_000;
const BACK_OFF_FIRST_US = 500_000;
const BACK_OFF_MOST_US = 5_000_000;
/** Of a host with very many storages the looks take turns. */
const LOOKS_AT_ONCE = 16;

/** What one look said. `unknown`: the looking itself did not succeed, which says nothing about the storage. */
export type StorageLook =
  | { kind: "answers" }
  | { kind: "refused" | "silent"; message: string }
  | { kind: "unknown"; error: StepError };

export interface SeenStorage {
  looking: boolean;
  /** Looks in a row that failed, or told nothing. */
  failures: number;
  /** It does not answer this host. */
  gone: boolean;
  /** Why, in the words of the last look that failed; null while all is well. */
  trouble: StepError | null;
  lookAtUs: number;
}

/** Which of the machines' storages answer this host. Plain data. */
export interface StorageWatchState {
  storages: Record<string, SeenStorage>;
}

export type StorageWatchInput =
  | { kind: "tick" }
  /** All that machines need, by name; what is not named any more is forgotten. */
  | { kind: "storages"; names: readonly string[] }
  | { kind: "seen"; name: string; look: StorageLook };

export interface StorageWatchResult {
  state: StorageWatchState;
  /** To be looked at now, each answered once. */
  looks: string[];
  /** Sorted. */
  gone: string[];
  reasons: Reason[];
  wakeAtUs: number;
}

export function createStorageWatch(): StorageWatchState {
  return { storages: {} };
}

/** One turn. The given state is not changed. A storage is gone after a few failures in a row, and back with one answer. */
export function stepStorageWatch(
  before: StorageWatchState,
  input: StorageWatchInput,
  nowUs: number,
): StorageWatchResult {
  const storages: Record<string, SeenStorage> = {};
  for (const [name, seen] of Object.entries(before.storages)) storages[name] = { ...seen };
  const reasons: Reason[] = [];
  take(storages, input, nowUs, reasons);
  const names = sortedKeys(storages);
  const looks: string[] = [];
  let free = LOOKS_AT_ONCE - names.filter((name) => storages[name]?.looking === true).length;
  let wakeAtUs = Number.MAX_SAFE_INTEGER;
  // Who waited longest first, or the first names would be looked at for ever.
  const waiting = names
    .flatMap((name) => storages[name] ?? [])
    .filter(({ looking }) => !looking)
    .sort((left, right) => left.lookAtUs - right.lookAtUs);
  for (const seen of waiting) {
    if (seen.lookAtUs > nowUs) {
      wakeAtUs = Math.min(wakeAtUs, seen.lookAtUs);
      continue;
    }
    if (free <= 0) continue;
    free -= 1;
    seen.looking = true;
  }
  for (const name of names) {
    if (storages[name]?.looking === true && before.storages[name]?.looking !== true) looks.push(name);
  }
  const gone = names.filter((name) => storages[name]?.gone === true);
  return { state: { storages }, looks, gone, reasons, wakeAtUs };
}

function take(
  storages: Record<string, SeenStorage>,
  input: StorageWatchInput,
  nowUs: number,
  reasons: Reason[],
): void {
  switch (input.kind) {
    case "tick":
      return;
    case "storages": {
      const wanted = new Set(input.names);
      for (const name of Object.keys(storages)) if (!wanted.has(name)) delete storages[name];
      for (const name of wanted) storages[name] ??= newStorage(nowUs);
      return;
    }
    case "seen": {
      const seen = storages[input.name];
      if (seen?.looking !== true) return;
      seen.looking = false;
      return judge(seen, input, nowUs, reasons);
    }
    default:
      assertNever(input);
  }
}

function newStorage(nowUs: number): SeenStorage {
  return { looking: false, failures: 0, gone: false, trouble: null, lookAtUs: nowUs };
}

function judge(
  seen: SeenStorage,
  { name, look }: { name: string; look: StorageLook },
  nowUs: number,
  reasons: Reason[],
): void {
  if (look.kind === "answers") {
    if (seen.gone) {
      const message = `Storage ${name} answers this host again.`;
      reasons.push({ code: "STORAGE_BACK", message, facts: { storage: name } });
    }
    Object.assign(seen, { failures: 0, gone: false, trouble: null, lookAtUs: nowUs + CALM_US });
    return;
  }
  seen.failures += 1;
  const backOffUs = BACK_OFF_FIRST_US * 2 ** Math.min(seen.failures - GONE_AFTER, 10);
  seen.lookAtUs = nowUs + (seen.failures < GONE_AFTER ? AGAIN_US : Math.min(BACK_OFF_MOST_US, backOffUs));
  if (look.kind === "unknown") {
    const facts = { storage: name, remedy: look.error.hint };
    if (seen.trouble?.code !== look.error.code)
      reasons.push({ code: look.error.code, message: look.error.message, facts });
    seen.trouble = look.error;
    return;
  }
  const message = `Storage ${name} does not answer this host: ${look.message}.`;
  const hint = "Is it up, and the network towards it? Its machines are left as they are.";
  const isGone = seen.gone || seen.failures >= GONE_AFTER;
  if (isGone && !seen.gone)
    reasons.push({ code: "STORAGE_GONE", message, facts: { storage: name, remedy: hint } });
  seen.gone = isGone;
  if (isGone) seen.trouble = { code: "STORAGE_GONE", message, hint };
}
