#!/usr/bin/perl
# Asks every host by itself, every INTERVAL ms, on its own switch port and past the bridge: an ARP request and
# an ICMP echo request for the cluster address. A client asks only the one its neighbour cache names, and a
# host cut off from the bridge is asked by nobody; a second holder would go unseen. Answers are counted by the
# capture. Runs in the switch's network namespace.
# Usage: probe-ports.pl ADDRESS OWN_ADDRESS OWN_MAC INTERVAL_MS
# stdin: lines "add IFINDEX MAC", "remove IFINDEX"; ends when stdin does.
use strict;
use warnings;
use Socket qw(SOCK_RAW SOL_SOCKET inet_aton);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my ($address, $ownAddress, $ownMacText, $intervalMs) = @ARGV;
my ($vip, $own) = (inet_aton($address), inet_aton($ownAddress));
my $ownMac = pack('H12', $ownMacText =~ s/://gr);

sub checksum {
  my $sum = unpack('%32n*', $_[0]);
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}

# Protocol 0: this socket only sends.
socket(my $raw, 17, SOCK_RAW, 0) or die "packet socket: $!\n";
my $arp = "\xff" x 6 . $ownMac . pack('nnnCCn', 0x0806, 1, 0x0800, 6, 4, 1) . $ownMac . $own . "\0" x 6 . $vip;

sub echoTo {
  my ($mac) = @_;
  my $icmp = pack('CCnnn', 8, 0, 0, 0x7172, 1) . "\0" x 8;
  substr($icmp, 2, 2) = pack('n', checksum($icmp));
  my $ip = pack('CCnnnCCn', 0x45, 0, 20 + length $icmp, 0, 0x4000, 64, 1, 0) . $own . $vip;
  substr($ip, 10, 2) = pack('n', checksum($ip));
  return $mac . $ownMac . pack('n', 0x0800) . $ip . $icmp;
}

# stdout: ten times a second, by how many ms the worst probe since the last line was late.
my ($worst, $nextLine) = (0, 0);
$| = 1;

my %ports;    # ifindex => [sockaddr_ll, echo frame]
my $input = '';
my $next = clock_gettime(CLOCK_MONOTONIC);

while (1) {
  my $now = clock_gettime(CLOCK_MONOTONIC);
  if ($now >= $next) {
    $worst = $now - $next if $now - $next > $worst;
    if ($now >= $nextLine) {
      printf "%.3f\n", $worst * 1000;
      ($worst, $nextLine) = (0, $now + 0.1);
    }
    for my $port (values %ports) {
      # A port that is down or gone refuses: there is nobody to ask.
      send($raw, $arp, 0, $port->[0]);
      send($raw, $port->[1], 0, $port->[0]);
    }
    $next += $intervalMs / 1000;
    $next = $now if $next < $now;
  }
  my $readable = '';
  vec($readable, 0, 1) = 1;
  my $wait = $next - clock_gettime(CLOCK_MONOTONIC);
  next if select($readable, undef, undef, $wait > 0 ? $wait : 0) <= 0;
  exit 0 unless sysread(STDIN, $input, 4096, length $input);
  while ($input =~ s/^(.*)\n//) {
    my ($verb, $index, $mac) = split ' ', $1;
    if ($verb eq 'add') {
      my $bytes = pack('H12', $mac =~ s/://gr);
      $ports{$index} = [pack('SnlSCCa8', 17, 0x0800, $index, 0, 0, 6, $bytes), echoTo($bytes)];
    }
    else { delete $ports{$index} }
  }
}
