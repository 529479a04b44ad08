import { runService } from "@quorate/runtime";
import { runJournal } from "./app.ts";

await runService("journal", runJournal);
