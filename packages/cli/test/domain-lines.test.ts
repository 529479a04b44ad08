import { expect, it } from "vitest";
import { domainTable } from "../src/domain-lines.ts";
import { DOMAINS } from "./domains.ts";

it("shows each domain with what keeps it from being relocated or taken", () => {
  expect(domainTable(4, DOMAINS).split("\n")).toEqual([
    "NAME  STATE    MEMORY   VCPUS  AUTOSTART  DISKS",
    "old1  off      512 MiB  2      yes        vda /var/lib/old1.raw",
    "  not relocatable by lease: disk vda lies on this host alone (/var/lib/old1.raw)",
    "odd   running  ?        ?      transient",
    "  cannot be taken: odd:1:1: no memory. Give it some.",
    "  it runs; before it can be taken: virsh shutdown odd",
    "To take one under care: quorate vm define --domain NAME --node 4",
    "",
  ]);
});

it("says that there is none", () => {
  expect(domainTable(4, [])).toBe("Libvirt of node 4 knows nothing that is not under care.\n");
});
