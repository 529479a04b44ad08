import { runService } from "@quorate/runtime";
import { runFailoverActuator } from "./app.ts";

await runService("failover-actuator", runFailoverActuator);
