#!/usr/bin/perl
# What a client of the cluster address does, every INTERVAL ms, from the client's own network stack (so its
# neighbour cache, and with it our announcements, count): one ICMP echo request and one fresh TCP connection
# with an HTTP GET. It measures nothing: the capture on the switch does, with the kernel's timestamps.
# Every 50 ms it sends a tick to the observer's own address: in the capture it says how far time has come when
# nobody answers.
# Usage: probe-client.pl ADDRESS PORT INTERVAL_MS HTTP_INTERVAL_MS OBSERVER   (ends when stdin does)
use strict;
use warnings;
use Socket qw(:DEFAULT :addrinfo inet_pton IPPROTO_TCP TCP_NODELAY AF_INET6 pack_sockaddr_in6);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
use Fcntl qw(F_SETFL O_NONBLOCK);

my ($address, $port, $intervalMs, $httpIntervalMs, $observer) = @ARGV;
my $isV6 = $address =~ /:/;
my $family = $isV6 ? AF_INET6 : AF_INET;
my $packed = inet_pton($family, $address) // die "not an address: $address\n";
my $target = sub { $isV6 ? pack_sockaddr_in6($_[0], $packed) : pack_sockaddr_in($_[0], $packed) };
my ($pingTarget, $httpTarget) = ($target->(0), $target->($port));
$SIG{PIPE} = 'IGNORE';

sub checksum {
  my $sum = unpack('%32n*', length($_[0]) % 2 ? "$_[0]\0" : $_[0]);
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}

socket(my $ping, $family, SOCK_RAW, $isV6 ? 58 : 1) or die "raw socket: $!\n";
fcntl($ping, F_SETFL, O_NONBLOCK);
# The replies are read from the capture; here they would only fill a buffer (ICMP_FILTER, ICMP6_FILTER: all).
setsockopt($ping, $isV6 ? 58 : 255, 1, "\xff" x ($isV6 ? 32 : 4));
my $sequence = 0;

sub sendPing {
  $sequence = ($sequence + 1) & 0xffff;
  my $echo = pack('CCnnn', $isV6 ? 128 : 8, 0, 0, $$ & 0xffff, $sequence) . "\0" x 8;
  substr($echo, 2, 2) = pack('n', checksum($echo)) unless $isV6;    # the kernel does ICMPv6's
  send($ping, $echo, 0, $pingTarget);
}

socket(my $tick, AF_INET, SOCK_DGRAM, 0) or die "udp socket: $!\n";
my $tickTarget = pack_sockaddr_in(9, inet_pton(AF_INET, $observer) // die "not an address: $observer\n");
my $nextTick = 0;

my %open;    # fileno => [socket, begun at, asked]
my $patience = 0.25;

sub openConnection {
  my ($now) = @_;
  socket(my $tcp, $family, SOCK_STREAM, IPPROTO_TCP) or return;
  fcntl($tcp, F_SETFL, O_NONBLOCK);
  # No TIME_WAIT: at 200 connections a second it would be thousands of them.
  setsockopt($tcp, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
  connect($tcp, $httpTarget);
  $open{ fileno $tcp } = [$tcp, $now, 0];
}

# stdout: ten times a second, by how many ms the worst probe since the last line was late.
my ($worst, $nextLine) = (0, 0);
$| = 1;

sub noteLateness {
  my ($now, $planned) = @_;
  $worst = $now - $planned if $now - $planned > $worst;
  return if $now < $nextLine;
  printf "%.3f\n", $worst * 1000;
  ($worst, $nextLine) = (0, $now + 0.1);
}

my $request = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
my $nextPing = clock_gettime(CLOCK_MONOTONIC);
my $nextHttp = $nextPing;

while (1) {
  my $now = clock_gettime(CLOCK_MONOTONIC);
  if ($now >= $nextPing) {
    noteLateness($now, $nextPing);
    sendPing();
    $nextPing += $intervalMs / 1000;
    $nextPing = $now if $nextPing < $now;    # late: do not catch up in a burst
  }
  if ($now >= $nextTick) {
    send($tick, 'tick', 0, $tickTarget);
    $nextTick = $now + 0.05;
  }
  if ($now >= $nextHttp) {
    noteLateness($now, $nextHttp);
    openConnection($now);
    $nextHttp += $httpIntervalMs / 1000;
    $nextHttp = $now if $nextHttp < $now;
  }
  my ($readable, $writable) = ('', '');
  vec($readable, 0, 1) = 1;
  for my $number (keys %open) {
    if ($now - $open{$number}[1] > $patience) {
      close(delete($open{$number})->[0]);
      next;
    }
    vec($open{$number}[2] ? $readable : $writable, $number, 1) = 1;
  }
  my $wake = $nextPing < $nextHttp ? $nextPing : $nextHttp;
  my $wait = $wake - clock_gettime(CLOCK_MONOTONIC);
  next if select($readable, $writable, undef, $wait > 0 ? $wait : 0) <= 0;
  if (vec($readable, 0, 1)) {
    exit 0 unless sysread(STDIN, my $ignored, 64);
  }
  for my $number (keys %open) {
    my $connection = $open{$number};
    if (vec($writable, $number, 1)) {
      if (defined send($connection->[0], $request, 0)) { $connection->[2] = 1 }
      else { close(delete($open{$number})->[0]) }
    }
    elsif (vec($readable, $number, 1)) {
      sysread($connection->[0], my $answer, 4096);
      close(delete($open{$number})->[0]);
    }
  }
}
