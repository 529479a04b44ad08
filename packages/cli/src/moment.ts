import { QuorateError } from "@quorate/contracts";

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * A point in time as people say it: `2026-11-22T10:15:03`, `2026-11-22 10:15`, `10:15`, `10:15:03.4` (today, or
 * yesterday when that is still to come), `5m ago`, `90s`. Without a zone it is the host's. Null: not a time at all.
 * Throws QuorateError USAGE for what looks like a time and is none.
 */
export function parseMoment(text: string, nowMs: number): number | null {
  const ago = /^(\d+)\s*(s|m|h|d)(?:\s*ago)?$/.exec(text.trim());
  if (ago !== null) return nowMs - Number(ago[1]) * (UNITS_MS[ago[2] ?? "s"] ?? 1000);
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,3})?)?$/.exec(text.trim());
  if (clock !== null) return todayOrYesterday(text, clock, nowMs);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return null;
  const at = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text.replace(" ", "T"));
  if (Number.isNaN(at)) throw notATime(text);
  return at;
}

function todayOrYesterday(text: string, clock: RegExpExecArray, nowMs: number): number {
  const [hours, minutes, seconds] = [clock[1], clock[2], clock[3] ?? "0"].map(Number);
  if ((hours ?? 24) > 23 || (minutes ?? 60) > 59 || (seconds ?? 60) > 59) throw notATime(text);
  const at = new Date(nowMs);
  at.setHours(hours ?? 0, minutes ?? 0, seconds ?? 0, Math.round(Number(`0${clock[4] ?? ""}`) * 1000));
  if (at.getTime() > nowMs) at.setDate(at.getDate() - 1);
  return at.getTime();
}

function notATime(text: string): QuorateError {
  return new QuorateError(
    "USAGE",
    `${text} is not a time.`,
    "A time is 10:15, 10:15:03, 2026-11-22T10:15:03Z or `5m ago`; without a zone it is the host's.",
  );
}
