import { type NodeId, QuorateError } from "@quorate/contracts";
import type { DocumentTools, DocumentVerdict, EditedText } from "@quorate/core-config";
import {
  type ConfDocument,
  documentDigest,
  HOSTS_FILE,
  parseDocument,
  printDocument,
  readHostConfig,
  refusalError,
  setConfigVersion,
  swapPrioWithHighest,
} from "@quorate/corosync-conf";

/** Verdicts that are asked for again and again: the stored document, the operator's file. */
const REMEMBERED_VERDICTS = 8;

function edited(text: string, edit: (document: ConfDocument) => ConfDocument): EditedText {
  const parsed = parseDocument(text, "document");
  if (!parsed.ok) {
    const message = parsed.diagnostics.map((diagnostic) => diagnostic.what).join("; ");
    return { ok: false, reason: { code: "CONFIG_SYNTAX", message } };
  }
  try {
    return { ok: true, text: printDocument(edit(parsed.document)) };
  } catch (error) {
    if (!(error instanceof QuorateError)) throw error;
    return { ok: false, reason: { code: error.code, message: `${error.message}: ${error.hint}` } };
  }
}

/** The core's view of the grammar. Names in `ring0_addr` are looked up in `hostsFile`, never in DNS. */
export function createDocumentTools(hostsFile = HOSTS_FILE): DocumentTools {
  const verdicts = new Map<string, DocumentVerdict>();

  function read(text: string, fileName: string): DocumentVerdict {
    const result = readHostConfig(text, fileName, hostsFile);
    if (result.ok) return { ok: true, config: result.config };
    const error = refusalError(result);
    return { ok: false, reason: { code: error.code, message: error.message } };
  }

  return {
    digest: documentDigest,
    read(text, fileName) {
      const key = `${fileName}\n${text}`;
      const known = verdicts.get(key);
      if (known !== undefined) return known;
      const verdict = read(text, fileName);
      // A refusal may be about a name that /etc/hosts does not have yet.
      if (verdict.ok) verdicts.set(key, verdict);
      for (const oldest of verdicts.keys()) {
        if (verdicts.size <= REMEMBERED_VERDICTS) break;
        verdicts.delete(oldest);
      }
      return verdict;
    },
    withVersion: (text, version) => edited(text, (document) => setConfigVersion(document, version)),
    swapPrioWithHighest: (text: string, node: NodeId) =>
      edited(text, (document) => swapPrioWithHighest(document, node)),
  };
}
