import { DEFINITION_LIMIT_BYTES } from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { configFor, definitionOf, MachineSite, uuidOf } from "./machine-site.ts";

let site: MachineSite;
beforeEach(async () => {
  site = new MachineSite();
  await site.start();
});
afterEach(() => site.remove());

describe("a definition that is too large", () => {
  it("is refused unread, and this process goes on with its leases", async () => {
    const host = await site.host(4, configFor([4]));
    const filled = (content: string) =>
      definitionOf("vm1", 1).replace("<devices>", `<metadata>${content}</metadata><devices>`);
    await expect(host.define("vm1", 1, filled("<a/>".repeat(5000)))).rejects.toMatchObject({
      code: "DEFINITION_BROKEN",
      message: expect.stringContaining("more than 4000 tags"),
    });
    await expect(host.define("vm1", 1, filled("ä".repeat(DEFINITION_LIMIT_BYTES / 2)))).rejects.toMatchObject(
      {
        code: "DEFINITION_BROKEN",
        message: expect.stringContaining("256 KiB at the most"),
      },
    );
    // Its form says so too: it comes no further than the bus.
    await expect(host.define("vm1", 1, filled("x".repeat(DEFINITION_LIMIT_BYTES)))).rejects.toMatchObject({
      code: "MESSAGE_INVALID",
    });
  });
});

describe("a machine under a UUID that another has", () => {
  it("is refused, however the UUID is written", async () => {
    const host = await site.host(4, configFor([4]));
    await host.define("vm1", 1);
    const bare = definitionOf("vm2", 1).replace(uuidOf(1), uuidOf(1).replaceAll("-", ""));
    await expect(host.define("vm2", 1, bare)).rejects.toMatchObject({
      code: "MACHINE_EXISTS",
      message: `vm1 of node 4 has the UUID ${uuidOf(1)}.`,
    });
  });
});
