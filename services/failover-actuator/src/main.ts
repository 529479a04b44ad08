import { runService } from "@quorate/runtime";
import { runFailoverActuator, STOP_LIMIT_MS } from "./app.ts";
import { runLoadGates } from "./machines/load-gates.ts";

const [, , first, ...rest] = process.argv;
if (first === "load-gates") await runLoadGates(rest);
else await runService("failover-actuator", runFailoverActuator, { stopLimitMs: STOP_LIMIT_MS });
