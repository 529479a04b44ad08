// Every Debian package that Quorate, its lab or its tests call, with the reason. The one place: set-up installs what
// is missing, the manual quotes it.

/** @type {readonly { name: string, why: string }[]} */
export const debianPackages = [
  { name: "corosync", why: "`corosync -t` judges the configuration files that we write (never started)" },
  { name: "iproute2", why: "addresses, bridges and namespaces (ip), sockets of a dead route (ss)" },
  {
    name: "iputils-arping",
    why: "finds the machine that has taken the cluster address, as a remedy of ours says",
  },
  { name: "iputils-ping", why: "probes the cluster address in the lab" },
  { name: "libatomic1", why: "Node 24 and later link against it" },
  { name: "libfaketime", why: "steps the wall clock of a lab host's processes (npm run chaos)" },
  { name: "nats-server", why: "the local message bus of every node (Quorate starts its own)" },
  { name: "nftables", why: "the gates: kernel filters that close by themselves" },
  { name: "perl", why: "raw sockets: announces the cluster address, probes it in the lab" },
  { name: "tcpdump", why: "the lab's outside observer: who answered, by kernel timestamps" },
  { name: "util-linux", why: "unshare, nsenter, setpriv, flock: the lab's hosts and this set-up" },
];

/**
 * What the lab's virtual machines need on top; installed only where they are asked for. Not libvirt-daemon-system: it
 * brings units and a network for this machine, and the lab's hosts start a libvirtd of their own.
 * @type {readonly { name: string, why: string }[]}
 */
export const machinePackages = [
  { name: "busybox-static", why: "what runs in the lab's guests before their server does" },
  { name: "libvirt-clients", why: "virsh: how a host's machines are started, paused, moved and watched" },
  { name: "libvirt-daemon", why: "libvirtd: one in each lab host, none on this machine" },
  { name: "libvirt-daemon-driver-qemu", why: "libvirtd's part for QEMU" },
  { name: "qemu-system-x86", why: "runs the guests, without KVM" },
  { name: "qemu-utils", why: "qemu-nbd: the disks in the lab's storage host" },
  { name: "systemd", why: "boots in a guest: the gates come before libvirt" },
];

/** Its kernel is what the guests boot. It is fetched and unpacked beside the toolchain, not installed. */
export const guestKernelPackage = "linux-image-cloud-amd64";
