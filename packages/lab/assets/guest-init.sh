#!/bin/busybox sh
# PID 1 of a guest of the lab. Its devices, its address, then the server in its place: when the server ends, the kernel
# panics, and the machine is gone.
#
# Kernel command line: quorate.name=NAME quorate.address=ADDRESS/LENGTH quorate.write_ms=MS
b=/bin/busybox
$b mount -t devtmpfs devtmpfs /dev
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
while read -r module; do
  $b insmod "/modules/$module.ko"
done < /modules/order

name='' address='' write_ms=''
read -r words < /proc/cmdline
for word in $words; do
  case "$word" in
    quorate.name=*) name=${word#*=} ;;
    quorate.address=*) address=${word#*=} ;;
    quorate.write_ms=*) write_ms=${word#*=} ;;
  esac
done

echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
# Says where it is as soon as it is there: the switch may have known it elsewhere.
echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify
$b ip link set lo up
$b ip address add "$address" dev eth0
$b ip link set eth0 up
exec /bin/perl /server.pl "$name" "$write_ms"
