import { normaliseAddress } from "../tools/normalise-address.ts";
import type { LinkEvent } from "./link-monitor.ts";

/** One line of `ip -o monitor address link`; undefined for what is no event of ours. */
export function parseLinkEvent(line: string): LinkEvent | undefined {
  const address = /^(Deleted )?\d+: (\S+)\s+inet6? ([0-9a-fA-F.:]+)(?:\/\d+| peer)/.exec(line);
  if (address !== null) {
    const [, deleted, device = "", text = ""] = address;
    return {
      kind: "address",
      change: deleted === undefined ? "added" : "removed",
      device,
      address: normaliseAddress(text),
    };
  }
  const link = /^(Deleted )?\d+: ([^:@\s]+)(?:@[^:\s]+)?: <([^>]*)>/.exec(line);
  if (link === null) return undefined;
  const [, deleted, device = "", flags = ""] = link;
  // A port that leaves its bridge is also told as "Deleted", with its master; the link itself is still there.
  const removed = deleted !== undefined && !/ master \S/.test(line);
  return {
    kind: "link",
    change: removed ? "removed" : "changed",
    device,
    carrier: !removed && flags.split(",").includes("LOWER_UP"),
  };
}
