/** As a node's libvirt knows them. */
export const DOMAINS = [
  {
    ...{ name: "old1", state: "off", autostart: true, persistent: true, problem: null, xml: "<old1/>" },
    meaning: {
      ...{ memoryMib: 512, vcpus: 2 },
      disks: [{ target: "vda", kind: "local", source: "/var/lib/old1.raw" }],
      obstacles: ["disk vda lies on this host alone (/var/lib/old1.raw)"],
    },
  },
  {
    ...{ name: "odd", state: "running", autostart: false, persistent: false, xml: "<odd/>" },
    ...{ meaning: null, problem: "odd:1:1: no memory. Give it some." },
  },
];

export const HUGE_DOMAIN = {
  ...{ name: "huge", state: "off", autostart: false, persistent: true, meaning: null },
  ...{ problem: "huge: it is too large.", xml: "x".repeat(300_000) },
};
