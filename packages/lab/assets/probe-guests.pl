#!/usr/bin/perl
# Asks every guest for its next number over HTTP, each on a connection of its own, one question per guest at a time.
# Arguments: INTERVAL_MS PATIENCE_MS NAME=ADDRESS… A question without an answer for PATIENCE_MS is given up.
# stdout: "answer SENT_MS CAME_MS STATUS NAME BODY" (wall clock) for each answer, and ten times a second
#   "tick NOW_MS LATE_MS": how far the asking has come, and by how much its worst round was late.
# Ends with its stdin.
use strict;
use warnings;
use Errno qw(EINPROGRESS);
use Fcntl qw(F_SETFL O_NONBLOCK);
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC CLOCK_REALTIME);

my ($interval_ms, $patience_ms, @guests) = @ARGV;
$| = 1;
$SIG{PIPE} = 'IGNORE';
my %guest = map { my ($name, $address) = split /=/; ($name => { address => $address }) } @guests;
my $next_ms = now();
my ($worst_ms, $told_ms) = (0, now());

while (1) {
  my ($reading, $writing) = ("", "");
  vec($reading, 0, 1) = 1;
  for my $one (grep { $_->{socket} } values %guest) {
    vec($one->{asked} ? $reading : $writing, fileno($one->{socket}), 1) = 1;
  }
  my $wait_ms = $next_ms - now();
  select($reading, $writing, undef, $wait_ms > 0 ? $wait_ms / 1000 : 0);
  if (vec($reading, 0, 1)) { sysread(STDIN, my $word, 1) or last }
  for my $name (keys %guest) {
    my $one = $guest{$name};
    next unless $one->{socket};
    my $number = fileno($one->{socket});
    if (!$one->{asked}) { ask($one) if vec($writing, $number, 1) }
    elsif (vec($reading, $number, 1)) { hear($name, $one) }
  }
  my $now = now();
  if ($now >= $next_ms) {
    $worst_ms = $now - $next_ms if $now - $next_ms > $worst_ms;
    begin($_, $now) for values %guest;
    $next_ms += $interval_ms;
    $next_ms = $now + $interval_ms if $next_ms < $now;
  }
  if ($now - $told_ms >= 100) {
    printf "tick %.3f %.3f\n", wall(), $worst_ms;
    ($worst_ms, $told_ms) = (0, $now);
  }
}

sub begin {
  my ($one, $now) = @_;
  return if $one->{socket} && $now - $one->{begun} < $patience_ms;
  end($one);
  socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
  fcntl($socket, F_SETFL, O_NONBLOCK);
  my $address = pack_sockaddr_in(80, inet_aton($one->{address}));
  return unless connect($socket, $address) || $! == EINPROGRESS;
  %$one = (%$one, socket => $socket, begun => $now, sent => wall(), asked => 0, text => "");
}

sub ask {
  my ($one) = @_;
  defined(syswrite($one->{socket}, "GET / HTTP/1.1\r\nHost: guest\r\n\r\n")) ? $one->{asked} = 1 : end($one);
}

sub hear {
  my ($name, $one) = @_;
  my $count = sysread($one->{socket}, $one->{text}, 4096, length $one->{text});
  return if $count;
  # Only what is whole counts: the server ends the connection after the body.
  if (defined $count && $one->{text} =~ m{^HTTP/1\.1 (\d+) .*?\r\n\r\n(\{.*\})\n$}s) {
    printf "answer %.3f %.3f %d %s %s\n", $one->{sent}, wall(), $1, $name, $2;
  }
  end($one);
}

sub end {
  my ($one) = @_;
  close(delete $one->{socket}) if $one->{socket};
}

sub now { clock_gettime(CLOCK_MONOTONIC) * 1000 }
sub wall { clock_gettime(CLOCK_REALTIME) * 1000 }
