import { runService } from "@quorate/runtime";
import { runQuorumEvaluator } from "./app.ts";

await runService("quorum-evaluator", runQuorumEvaluator);
