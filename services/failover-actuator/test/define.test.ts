import { DEFINITION_LIMIT_BYTES } from "@quorate/contracts";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { configFor, definitionOf, MachineSite } from "./machine-site.ts";

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
