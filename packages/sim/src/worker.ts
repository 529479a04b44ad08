import { answerSeeds } from "./campaign.ts";

answerSeeds();
