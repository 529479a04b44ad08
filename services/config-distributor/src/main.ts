import { runService } from "@quorate/runtime";
import { startDistributor } from "./app.ts";

await runService("config-distributor", startDistributor);
