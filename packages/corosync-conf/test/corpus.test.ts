import { describe, expect, test } from "vitest";
import {
  encodeText,
  hostsResolver,
  parseDocument,
  printDocument,
  readClusterConfig,
  renderCheck,
  renderShow,
} from "../src/index.ts";
import { corpus, expectedReport } from "./corpus.ts";

const HOSTS = `127.0.0.1 localhost
127.0.1.1 node1.example.org node1
10.40.0.1 node1 # the real one
10.40.0.2 node2.example.org node2
10.40.0.3	node3
::1 ip6-localhost
`;

describe.each(corpus())("$name", ({ name, bytes, text }) => {
  // `npx vitest run packages/corosync-conf -u` writes the reports anew; read the difference.
  test("is reported on as expected", async () => {
    const result = readClusterConfig(text, name);
    const { text: report, exitCode } = renderCheck(name, result);
    const shown = result.ok ? `\n${renderShow(result)}` : "";
    await expect(`${report}exit ${exitCode}\n${shown}`).toMatchFileSnapshot(expectedReport(name));
  });

  test("is printed back byte for byte", () => {
    const parsed = parseDocument(text, name);
    const printed = parsed.ok ? printDocument(parsed.document) : text;
    expect(Buffer.compare(encodeText(printed), bytes)).toBe(0);
  });
});

test("names are looked up in the hosts file, past the loopback line that Debian gives a host", () => {
  const file = corpus().find(({ name }) => name === "host-names.conf");
  const result = readClusterConfig(file?.text ?? "", "host-names.conf", {
    resolveName: hostsResolver(HOSTS),
  });
  expect(result.ok && result.config.nodes.map((node) => node.addresses)).toEqual([
    ["10.40.0.1"],
    ["10.40.0.2"],
    ["10.40.0.3"],
  ]);
});
