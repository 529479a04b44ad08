import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ConfDocument,
  encodeText,
  parseDocument,
  printDocument,
  setConfigVersion,
  setDisarmedUntil,
  setValue,
  swapPrioWithHighest,
} from "../src/index.ts";
import { keysOf, lastKey } from "../src/document.ts";
import { nodeSections } from "../src/members.ts";
import { type CorpusFile, corpus } from "./corpus.ts";

/**
 * corosync looks for the local node's address, its key and its log folder before it calls a file good. A
 * network and mount namespace of its own gives it the addresses of the corpus on a loopback and the rest on
 * file systems in memory, so that `-t` judges the file, not this machine. Nothing of it outlives the command.
 */
const JUDGE = `
set -e
file=$1
shift
ip link set lo up
for address in "$@"; do
  case $address in
    *:*) ip addr add "$address/64" dev lo nodad ;;
    *) ip addr add "$address/24" dev lo ;;
  esac
done
mount -t tmpfs none /var/log
mkdir /var/log/cluster /var/log/corosync
mount -t tmpfs none /etc/corosync
head -c 256 /dev/urandom > /etc/corosync/authkey
chmod 400 /etc/corosync/authkey
exec corosync -t -c "$file"
`;

/** Files for which corosync itself has other wishes, with the reason. */
const REFUSED_BY_COROSYNC = new Map([
  ["broken-meaning.conf", "wrong on purpose"],
  ["broken-syntax.conf", "wrong on purpose"],
  ["byte-order-mark.conf", "a byte order mark, and no version: 2"],
  ["corosync1-multicast-without-nodes.conf", "corosync 3 wants a nodelist"],
  ["corosync1-two-rings-members.conf", "corosync 3 wants a nodelist"],
  ["corosync1-udpu-members.conf", "corosync 3 wants a nodelist"],
  ["corosync2-multicast-two-rings.conf", "corosync 3 has several rings with knet only"],
  ["host-names.conf", "names without addresses"],
  ["misspelt.conf", "ring8_addr"],
  ["vmmanager-original.conf", "no version: 2"],
]);

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "corosync-accepts-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** "accepted", or what corosync says against it. */
function verdict(text: string, addresses: readonly string[]): string {
  const file = join(folder, "corosync.conf");
  writeFileSync(file, encodeText(text));
  const command = ["-n", "-m", "sh", "-c", JUDGE, "judge", file, ...addresses];
  const { status, stdout, stderr } = spawnSync("unshare", command, { encoding: "utf8", timeout: 20_000 });
  return status === 0 ? "accepted" : `${status}: ${stdout}${stderr}`;
}

function parsed(file: CorpusFile): ConfDocument {
  const result = parseDocument(file.text, file.name);
  if (!result.ok) throw new Error(`${file.name} has broken syntax`);
  return result.document;
}

/** The addresses of the first node: "this host". */
function ownAddresses({ root }: ConfDocument): string[] {
  const keys = nodeSections(root).slice(0, 1).flatMap(keysOf);
  return keys.filter(({ key }) => /^ring[0-7]_addr$/.test(key)).map(({ value }) => value);
}

function edited(document: ConfDocument): ConfDocument {
  const prios = nodeSections(document.root).map((node) => ({
    nodeId: Number(lastKey(node, "nodeid")?.value),
    prio: Number(lastKey(node, "prio")?.value ?? 1),
  }));
  const [last] = prios.toSorted((a, b) => a.prio - b.prio).filter(({ prio }) => prio > 0);
  let result = swapPrioWithHighest(setConfigVersion(document, 4711), last?.nodeId ?? 0);
  result = setValue(result, ["cluster_ip", "address"], "203.0.113.9");
  result = setValue(result, ["managed_service", "command"], "/usr/bin/env sleep 1 # : }");
  return setDisarmedUntil(result, "2033-01-01T00:00:00Z");
}

const judged = corpus().filter(({ name }) => !REFUSED_BY_COROSYNC.has(name));

describe.each(judged)("$name", (file) => {
  const document = parsed(file);
  const addresses = ownAddresses(document);

  test("corosync -t accepts it as it is", () => {
    expect(verdict(printDocument(document), addresses)).toBe("accepted");
  });

  test("corosync -t accepts it after every kind of edit", () => {
    expect(verdict(printDocument(edited(document)), addresses)).toBe("accepted");
  });
});

test("corosync is here, and refuses what is wrong", () => {
  expect(execFileSync("corosync", ["-v"], { encoding: "utf8" })).toContain("version '3.");
  for (const [name, reason] of REFUSED_BY_COROSYNC) {
    const file = corpus().find((candidate) => candidate.name === name);
    expect(verdict(file?.text ?? "", ["10.0.0.1"]), reason).not.toBe("accepted");
  }
});
