import { runService } from "@quorate/runtime";
import { startMembershipService } from "./app.ts";

await runService("membership", startMembershipService);
