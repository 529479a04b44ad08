/** The lab's virtual machines: what each is called, where it answers, and how libvirt is told of it. Pure. */
import { INITRD_FILE, KERNEL_FILE } from "./image.ts";

export const STORAGE_ADDRESS = "172.31.223.250";
/** As large as leaves room for half an hour of numbers before the first is written over. */
export const DISK_BYTES = 64 * 1024 * 1024;
export const MOST_GUESTS = 80;
export const DEFAULT_GUESTS = 3;

const FIRST_ADDRESS = 150;
const FIRST_PORT = 10_809;
const MEMORY_MIB = 96;
/** How often a guest writes by itself, without being asked over the network. */
const WRITE_EVERY_MS = 100;

/** Paths in a lab host (assets/init.sh). */
const IMAGE_FOLDER = "/var/lib/quorate-guests";
const CONSOLE_FOLDER = "/var/log/quorate-guests";
/** Where the definitions lie in a lab host. */
export const DEFINITION_FOLDER = "/etc/quorate/vms";

export type Guest = {
  number: number;
  name: string;
  uuid: string;
  mac: string;
  address: string;
  /** The storage host's port for its disk. */
  diskPort: number;
};

/** Guest 1 is vm1. */
export function guestOf(number: number): Guest {
  const digits = number.toString(16).padStart(2, "0");
  return {
    number,
    name: `vm${number}`,
    uuid: `51554f52-4154-4500-8000-0000000000${digits}`,
    mac: `52:54:00:51:55:${digits}`,
    address: `172.31.223.${FIRST_ADDRESS + number}`,
    diskPort: FIRST_PORT + number - 1,
  };
}

export function guestsOf(count: number): Guest[] {
  return Array.from({ length: count }, (_, index) => guestOf(index + 1));
}

/** The cluster configuration's part for the guests; nothing without any. */
export function machinesSection(count: number): string[] {
  if (count === 0) return [];
  const storage = guestsOf(count).flatMap(({ diskPort }) => [
    "\tstorage {",
    `\t\taddress: ${STORAGE_ADDRESS}`,
    `\t\tport: ${diskPort}`,
    "\t}",
  ]);
  // All hosts share this machine's few cores: they are not what says how many guests there may be.
  return ["machines {", "\tvcpu_percent: 2000", ...storage, "}"];
}

/** What an operator would hand to `quorate vm define`: nothing in it knows of us. */
export function domainXml(guest: Guest): string {
  const { name, uuid, mac, address, diskPort } = guest;
  const words = ["console=ttyS0", "quiet", "panic=1", "nokaslr", "mitigations=off", "no_timer_check"];
  words.push("tsc=reliable", "i8042.nopnp", "i8042.noaux", "i8042.nokbd", "cryptomgr.notests");
  words.push(`quorate.name=${name}`, `quorate.address=${address}/24`, `quorate.write_ms=${WRITE_EVERY_MS}`);
  return `<domain type='qemu'>
  <name>${name}</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>${MEMORY_MIB}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>${IMAGE_FOLDER}/${KERNEL_FILE}</kernel>
    <initrd>${IMAGE_FOLDER}/${INITRD_FILE}</initrd>
    <cmdline>${words.join(" ")}</cmdline>
  </os>
  <features>
    <acpi/>
    <tcg><tb-cache unit='MiB'>32</tb-cache></tcg>
  </features>
  <!-- rdrand: each run's name is drawn in its first second. -->
  <cpu mode='custom' match='exact' check='none'>
    <model fallback='forbid'>qemu64</model>
    <feature policy='require' name='rdrand'/>
  </cpu>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source protocol='nbd' name='${name}'>
        <host name='${STORAGE_ADDRESS}' port='${diskPort}'/>
      </source>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='${mac}'/>
      <source bridge='vmbr0'/>
      <model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    <serial type='file'>
      <source path='${CONSOLE_FOLDER}/${name}.log' append='on'/>
      <target port='0'/>
    </serial>
    <controller type='usb' model='none'/>
    <video><model type='none'/></video>
    <memballoon model='none'/>
  </devices>
</domain>
`;
}

/**
 * A machine that has nothing to boot from and stands at that for ever: for what only counts machines. Its disk, an empty
 * file beside its definition, lies on one host only, so it runs there or nowhere.
 */
export function tinyDomainXml(name: string, index: number): string {
  const digits = index.toString(16).padStart(2, "0");
  return `<domain type='qemu'>
  <name>${name}</name>
  <uuid>51554f52-4154-4500-a000-0000000000${digits}</uuid>
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
  </os>
  <features>
    <acpi/>
    <tcg><tb-cache unit='MiB'>8</tb-cache></tcg>
  </features>
  <cpu mode='custom' match='exact' check='none'>
    <model fallback='forbid'>qemu64</model>
  </cpu>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='${DEFINITION_FOLDER}/${name}.raw'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:51:56:${digits}'/>
      <source bridge='vmbr0'/>
      <model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    <controller type='usb' model='none'/>
    <video><model type='none'/></video>
    <memballoon model='none'/>
  </devices>
</domain>
`;
}
