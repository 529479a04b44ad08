#!/usr/bin/perl
# Says when the machine itself stood still: sleeps INTERVAL ms over and over and prints by how much it was woken too
# late. It has no socket, opens no file, asks nobody and runs in no namespace of the lab: nothing that the hosts do or
# leave undone makes it wait. Its pages stay in memory; it is to be run in real time, above everything else.
# Usage: witness.pl INTERVAL_MS LEAST_MS
# stdin: ends when stdin does. stdout: for each sleep that was late by LEAST_MS or more a line "FROM_MS TO_MS": when it
# should have ended and when it did, wall clock.
use strict;
use warnings;
use POSIX qw(uname);
use Time::HiRes qw(clock_gettime sleep CLOCK_MONOTONIC CLOCK_REALTIME);

my ($intervalMs, $leastMs) = @ARGV;
my %MLOCKALL = (x86_64 => 151, aarch64 => 230);
my $call = $MLOCKALL{(uname())[4]};
# Now and in the future. Without the right to it the machine's memory may make it late, which is the machine's too.
syscall($call, 3) if defined $call;
$| = 1;

# Whoever started it holds the other end.
my $mask = '';
vec($mask, fileno(STDIN), 1) = 1;
while (1) {
  my $dueMs = clock_gettime(CLOCK_MONOTONIC) * 1000 + $intervalMs;
  my $isEnd = select(my $readable = $mask, undef, undef, $intervalMs / 1000);
  exit 0 if $isEnd > 0;
  my $lateMs = clock_gettime(CLOCK_MONOTONIC) * 1000 - $dueMs;
  next if $lateMs < $leastMs;
  my $nowMs = clock_gettime(CLOCK_REALTIME) * 1000;
  printf "%.3f %.3f\n", $nowMs - $lateMs, $nowMs;
}
