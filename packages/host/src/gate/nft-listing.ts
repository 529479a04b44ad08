import { normaliseAddress } from "../tools/normalise-address.ts";

/** What `nft list table` says, taken apart: the text without elements and blanks, and the elements of each set. */
export interface TableListing {
  /** Trimmed lines, without elements and without the egress chains. */
  readonly skeleton: string;
  /** By chain name, trimmed lines. */
  readonly egressChains: ReadonlyMap<string, string>;
  /** Addresses in their normal spelling, sorted. */
  readonly held: readonly string[];
  readonly open: readonly { readonly address: string; readonly remainingUs: number }[];
}

export interface ListedElement {
  /** As nft prints it: `10.9.0.1`, `10.9.0.1 . 80`, `"eth0"`. */
  readonly key: string;
  readonly remainingUs: number;
}

/** Any table's listing: its trimmed lines without the elements, and these by set. */
export function splitListing(listing: string): {
  readonly lines: readonly string[];
  readonly sets: ReadonlyMap<string, readonly ListedElement[]>;
} {
  const sets = new Map<string, ListedElement[]>();
  let set = "";
  const withoutElements = listing.replace(
    /set (\w+) \{|elements = \{([^}]*)\}/g,
    (whole: string, name: string | undefined, elements: string | undefined) => {
      if (name !== undefined) {
        set = name;
        return whole;
      }
      const found = (elements ?? "")
        .split(",")
        .map((element) => element.trim())
        .filter((element) => element !== "");
      sets.set(set, found.map(parseElement));
      return "";
    },
  );
  const lines = withoutElements
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return { lines, sets };
}

function parseElement(element: string): ListedElement {
  const words = element.split(/\s+/);
  const end = words.findIndex((word) => word === "timeout" || word === "expires");
  const key = words.slice(0, end < 0 ? words.length : end).join(" ");
  return { key, remainingUs: parseDurationUs(wordAfter(words, "expires")) };
}

export function parseTableListing(listing: string): TableListing {
  const { lines, sets } = splitListing(listing);
  const held = (sets.get("vip") ?? []).map(({ key }) => normaliseAddress(key));
  const open = (sets.get("lease") ?? []).map(({ key, remainingUs }) => ({
    address: normaliseAddress(key),
    remainingUs,
  }));
  const egressChains = new Map<string, string>();
  const skeleton: string[] = [];
  let chain: string[] | undefined;
  for (const line of lines) {
    if (/^chain egress\d+ \{$/.test(line)) chain = [];
    (chain ?? skeleton).push(line);
    if (line === "}" && chain !== undefined) {
      egressChains.set(chain[0]?.slice("chain ".length, -" {".length) ?? "", chain.join("\n"));
      chain = undefined;
    }
  }
  return { skeleton: skeleton.join("\n"), egressChains, held: held.sort(), open };
}

function wordAfter(words: readonly string[], word: string): string {
  const at = words.indexOf(word);
  return at < 0 ? "" : (words[at + 1] ?? "");
}

const UNIT_MS: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
};

/** nft's "1m2s30ms"; an element without a timeout (somebody else's doing) never ends. */
export function parseDurationUs(text: string): number {
  if (text === "") return Number.POSITIVE_INFINITY;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|d|h|m|s)/g)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ""] ?? 0);
  }
  return totalMs * 1_000;
}
