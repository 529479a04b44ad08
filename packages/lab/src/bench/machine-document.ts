/** docs/manual/figures-machines.md: the bench's table with what it is about. Pure. */
export function machineDocument(table: string): string {
  return `# Figures of virtual machines

Written by \`npm run bench:vms -- --document\`: three hosts with libvirt and QEMU without KVM on one machine, guests that
count on a disk in a storage host. *Order* is the new master's word in its log, *running* libvirt's lifecycle event on the
new host, *answer* the first one that a client gets; all since the death. *Double starts* are judged from outside: two
runs that answer at once, that write in turns, or two hosts that write to one disk at once. *Lost writes* are numbers that
were answered and are not on the disk. \`aside\`: see [figures](figures.md).

Between the fence and the start lies \`storage_settle\` (500 ms unless configured): what the dead host had sent may still be
on its way to the storage. A guest's first answer has its boot in it, without KVM several seconds.

\`\`\`text
${table.trimEnd()}
\`\`\`
`;
}
