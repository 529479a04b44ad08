#!/usr/bin/perl
# What PID 1 does from then on: keeps command lines running, each started again 100 ms after it ended whatever its exit
# code, and reaps what they leave behind.
# Arguments: --keep COMMAND… [--keep COMMAND…]
use strict;
use warnings;

my @commands;
for my $word (@ARGV) {
  if ($word eq "--keep") { push @commands, [] }
  else { push @{$commands[-1]}, $word }
}

my %running;
start($_, 0) for 0 .. $#commands;
while ((my $pid = waitpid(-1, 0)) > 0) {
  my $index = delete $running{$pid};
  start($index, 0.1) if defined $index;
}

sub start {
  my ($index, $pause_s) = @_;
  my $pid = fork() // die "fork: $!";
  if ($pid > 0) {
    $running{$pid} = $index;
    return;
  }
  select(undef, undef, undef, $pause_s);
  my @command = @{$commands[$index]};
  exec { $command[0] } @command or die "$command[0]: $!";
}
