/** What a host with guests has on its disk, and what it runs beside the node: one libvirtd of its own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { domainXml, guestsOf } from "./guests.ts";

/** PID 1 keeps it running. It listens for live moves on TCP; the lab's network is nobody else's. */
export const LIBVIRTD_COMMAND = ["/usr/sbin/libvirtd", "--listen"];

/** Writes libvirtd's configuration and the guests' definitions to a host's disk. */
export function writeGuestFiles(
  hostFolder: string,
  host: { id: number; address: string },
  count: number,
): void {
  const definitions = join(hostFolder, "etc/vms");
  mkdirSync(definitions, { recursive: true });
  for (const guest of guestsOf(count))
    writeFileSync(join(definitions, `${guest.name}.xml`), domainXml(guest));
  const libvirt = join(hostFolder, "libvirt/etc");
  mkdirSync(libvirt, { recursive: true });
  writeFileSync(join(libvirt, "libvirtd.conf"), libvirtdConf(host.id));
  writeFileSync(join(libvirt, "qemu.conf"), qemuConf(host.address));
}

function libvirtdConf(id: number): string {
  // All hosts of a lab are one machine, which has one UUID: libvirt would take a move for one to itself.
  const uuid = `51554f52-4154-4500-9000-${id.toString(16).padStart(12, "0")}`;
  return `listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
host_uuid = "${uuid}"
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
`;
}

function qemuConf(address: string): string {
  return `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
migration_address = "${address}"
migration_host = "${address}"
`;
}
