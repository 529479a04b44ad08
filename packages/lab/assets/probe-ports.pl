#!/usr/bin/perl
# Asks every host by itself, every INTERVAL ms, on its own switch port and past the bridge, whether it answers for
# the cluster addresses: an ARP request and an ICMP echo request, for IPv6 a neighbour solicitation and an echo
# request. A client asks only the one its neighbour cache names, and a host cut off from the bridge is asked by
# nobody; a second holder would go unseen. Answers are counted by the capture. Runs in the switch's network namespace.
# Usage: probe-ports.pl INTERVAL_MS OWN_MAC OWN_IPV4 OWN_IPV6 ADDRESS...
# stdin: lines "add IFINDEX MAC", "remove IFINDEX"; ends when stdin does.
# stdout: ten times a second, by how many ms the worst probe since the last line was late.
use strict;
use warnings;
use Socket qw(SOCK_RAW AF_INET AF_INET6 inet_pton);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($intervalMs, $ownMacText, $ownV4Text, $ownV6Text, @addresses) = @ARGV;
my $ownMac = macOf($ownMacText);
my $ownV4 = inet_pton(AF_INET, $ownV4Text) // die "not an address: $ownV4Text\n";
my $ownV6 = inet_pton(AF_INET6, $ownV6Text) // die "not an address: $ownV6Text\n";

# Protocol 0: this socket only sends.
socket(my $raw, 17, SOCK_RAW, 0) or die "packet socket: $!\n";

sub macOf { return pack('H12', $_[0] =~ s/://gr) }

sub checksum {
  my $sum = unpack('%32n*', length($_[0]) % 2 ? "$_[0]\0" : $_[0]);
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}

sub framesV4 {
  my ($mac, $vip) = @_;
  my $arp = "\xff" x 6 . $ownMac . pack('nnnCCn', 0x0806, 1, 0x0800, 6, 4, 1) . $ownMac . $ownV4 . "\0" x 6 . $vip;
  my $icmp = pack('CCnnn', 8, 0, 0, 0x7172, 1) . "\0" x 8;
  substr($icmp, 2, 2) = pack('n', checksum($icmp));
  my $ip = pack('CCnnnCCn', 0x45, 0, 20 + length $icmp, 0, 0x4000, 64, 1, 0) . $ownV4 . $vip;
  substr($ip, 10, 2) = pack('n', checksum($ip));
  return ($arp, $mac . $ownMac . pack('n', 0x0800) . $ip . $icmp);
}

sub packetV6 {
  my ($toMac, $to, $icmp) = @_;
  my $pseudo = $ownV6 . $to . pack('NN', length $icmp, 58);
  substr($icmp, 2, 2) = pack('n', checksum($pseudo . $icmp));
  my $ip = pack('NnCC', 0x60000000, length $icmp, 58, 255) . $ownV6 . $to;
  return $toMac . $ownMac . pack('n', 0x86dd) . $ip . $icmp;
}

sub framesV6 {
  my ($mac, $vip) = @_;
  my $low = substr($vip, 13, 3);
  my $group = inet_pton(AF_INET6, 'ff02::1:ff00:0');
  substr($group, 13, 3) = $low;
  # Type 135 with the target and our link-layer address, so that the host need not ask for it.
  my $solicitation = pack('CCnN', 135, 0, 0, 0) . $vip . pack('CC', 1, 1) . $ownMac;
  my $echo = pack('CCnnn', 128, 0, 0, 0x7172, 1) . "\0" x 8;
  return (packetV6("\x33\x33\xff" . $low, $group, $solicitation), packetV6($mac, $vip, $echo));
}

sub framesFor {
  my ($mac) = @_;
  return map {
    /:/ ? framesV6($mac, inet_pton(AF_INET6, $_)) : framesV4($mac, inet_pton(AF_INET, $_))
  } @addresses;
}

my %ports;    # ifindex => [sockaddr_ll, frame, ...]
my $input = '';
my $next = clock_gettime(CLOCK_MONOTONIC);
my ($worst, $nextLine) = (0, 0);
$| = 1;

while (1) {
  my $now = clock_gettime(CLOCK_MONOTONIC);
  if ($now >= $next) {
    $worst = $now - $next if $now - $next > $worst;
    if ($now >= $nextLine) {
      printf "%.3f\n", $worst * 1000;
      ($worst, $nextLine) = (0, $now + 0.1);
    }
    for my $port (values %ports) {
      my ($where, @frames) = @$port;
      # A port that is down or gone refuses: there is nobody to ask.
      send($raw, $_, 0, $where) for @frames;
    }
    $next += $intervalMs / 1000;
    $next = $now if $next < $now;    # late: do not catch up in a burst
  }
  my $readable = '';
  vec($readable, 0, 1) = 1;
  my $wait = $next - clock_gettime(CLOCK_MONOTONIC);
  next if select($readable, undef, undef, $wait > 0 ? $wait : 0) <= 0;
  exit 0 unless sysread(STDIN, $input, 4096, length $input);
  while ($input =~ s/^(.*)\n//) {
    my ($verb, $index, $macText) = split ' ', $1;
    if ($verb eq 'add') {
      my $mac = macOf($macText);
      # The protocol of the address is what the device is told; the frame itself says what it is.
      $ports{$index} = [pack('SnlSCCa8', 17, 0x0800, $index, 0, 0, 6, $mac), framesFor($mac)];
    }
    else { delete $ports{$index} }
  }
}
