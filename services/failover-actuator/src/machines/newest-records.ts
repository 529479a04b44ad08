import type { NodeId, VmRecord, VmReport } from "@quorate/contracts";

export interface KeptRecord {
  readonly node: NodeId;
  readonly record: VmRecord;
}

/** The newest record of each machine, stopped ones too, and the node that keeps it: its word counts. */
export function newestRecords(
  own: readonly KeptRecord[],
  reports: readonly VmReport[],
  replica: readonly KeptRecord[] = [],
): KeptRecord[] {
  const newest = new Map<string, KeptRecord>();
  const reported = reports.flatMap(({ node, records }) => records.map((record) => ({ node, record })));
  for (const each of [...own, ...reported, ...replica]) {
    const known = newest.get(each.record.vm);
    if (known === undefined || isNewer(each.record, known.record)) newest.set(each.record.vm, each);
  }
  return [...newest.values()];
}

function isNewer(left: VmRecord, right: VmRecord): boolean {
  const { placement: one, revision } = left;
  const { placement: other } = right;
  return (one.term - other.term || one.number - other.number || revision - right.revision) > 0;
}
