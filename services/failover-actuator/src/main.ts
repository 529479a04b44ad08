import { runService } from "@quorate/runtime";
import { runFailoverActuator, STOP_LIMIT_MS } from "./app.ts";

await runService("failover-actuator", runFailoverActuator, { stopLimitMs: STOP_LIMIT_MS });
