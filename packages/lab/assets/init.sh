#!/bin/sh
# PID 1 of a lab host, started by `unshare` in fresh network, mount, uts, pid and time namespaces.
# It makes the folders that must be this host's own, then keeps the given command lines running (keep.pl).
#
# Environment: LAB_HOST_DIR (etc/, state/, boot_id), LAB_HOST_NAME, LAB_ROOT (the checkout), LAB_ASSETS; in a lab with
# guests LAB_GUEST_IMAGE, a folder with what they boot.
# Arguments: those of keep.pl.
# stdin: one line "mount" once the network is plugged, one line "run" once the host is prepared.
# fd 3: we write "ready" between the two.
set -eu

read -r _
echo "$LAB_HOST_NAME" > /proc/sys/kernel/hostname

# The new network namespace shows its devices only in a sysfs of its own.
mount -t sysfs sysfs /sys
mount --bind "$LAB_HOST_DIR/boot_id" /proc/sys/kernel/random/boot_id

# /etc/quorate and /var/lib/quorate need not exist on the machine: an overlay gives the mount points,
# what lies in them is bound from the host's folder and so survives a power cut.
scratch="$LAB_HOST_DIR/scratch"
mkdir -p "$scratch"
mount -t tmpfs -o size=64m,mode=0755 tmpfs "$scratch"
mkdir "$scratch/etc" "$scratch/etc-work" "$scratch/lib" "$scratch/lib-work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$scratch/etc,workdir=$scratch/etc-work" /etc
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$scratch/lib,workdir=$scratch/lib-work" /var/lib
mkdir -p /etc/quorate /var/lib/quorate
mount --bind "$LAB_HOST_DIR/etc" /etc/quorate
mount --bind "$LAB_HOST_DIR/state" /var/lib/quorate

# Libvirt's folders are the host's own too: its definitions and what it knows about QEMU are on the host's disk. What
# guests boot and say lies where every user may go, wherever the checkout is: QEMU runs as nobody in particular.
if [ -n "${LAB_GUEST_IMAGE:-}" ]; then
  for volatile in cache log; do
    mkdir "$scratch/$volatile" "$scratch/$volatile-work"
    mount -t overlay overlay -o "lowerdir=/var/$volatile,upperdir=$scratch/$volatile,workdir=$scratch/$volatile-work" \
      "/var/$volatile"
  done
  mkdir -p "$LAB_HOST_DIR/libvirt/etc" "$LAB_HOST_DIR/libvirt/lib" "$LAB_HOST_DIR/libvirt/cache" \
    "$LAB_HOST_DIR/log/libvirt" "$LAB_HOST_DIR/log/guests"
  chmod 1777 "$LAB_HOST_DIR/log/guests"
  mkdir -p /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /var/lib/quorate-guests \
    /var/log/quorate-guests
  mount --bind "$LAB_HOST_DIR/libvirt/etc" /etc/libvirt
  mount --bind "$LAB_HOST_DIR/libvirt/lib" /var/lib/libvirt
  mount --bind "$LAB_HOST_DIR/libvirt/cache" /var/cache/libvirt
  mount --bind "$LAB_HOST_DIR/log/libvirt" /var/log/libvirt
  mount --bind "$LAB_HOST_DIR/log/guests" /var/log/quorate-guests
  mount --bind "$LAB_GUEST_IMAGE" /var/lib/quorate-guests
  # libvirtd does not start without this user, even where its configuration names another.
  grep -q '^libvirt-qemu:' /etc/group || echo 'libvirt-qemu:x:64055:' >> /etc/group
  grep -q '^libvirt-qemu:' /etc/passwd ||
    echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >> /etc/passwd
  # A /dev without kvm: one that opens and yet runs no guest makes libvirt probe QEMU anew at each start, for seconds.
  mkdir -p "$scratch/dev/net" "$scratch/dev/pts" "$scratch/dev/shm"
  for device in null zero full random urandom tty net/tun; do
    touch "$scratch/dev/$device"
    mount --bind "/dev/$device" "$scratch/dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$scratch/dev/pts"
  ln -s pts/ptmx "$scratch/dev/ptmx"
  for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
    ln -s "/proc/self/${link#*:}" "$scratch/dev/${link%%:*}"
  done
  chmod 1777 "$scratch/dev/shm"
  mount --rbind "$scratch/dev" /dev
fi

# /tmp and /run begin empty at every boot. A checkout that lies under one of them must stay visible.
for volatile in tmp run; do
  mkdir "$scratch/$volatile"
  mount -t tmpfs -o size=64m tmpfs "$scratch/$volatile"
  case "$LAB_ROOT" in
    "/$volatile"/*)
      mkdir -p "$scratch/$volatile/${LAB_ROOT#"/$volatile/"}"
      mount --rbind "$LAB_ROOT" "$scratch/$volatile/${LAB_ROOT#"/$volatile/"}"
      ;;
  esac
done
chmod 1777 "$scratch/tmp"
cd /
mount --rbind "$scratch/tmp" /tmp
mount --rbind "$scratch/run" /run

echo ready >&3
exec 3>&-
read -r _
exec </dev/null

exec perl "$LAB_ASSETS/keep.pl" "$@"
