#!/usr/bin/perl
# The guest's only program: counts, and each number is on its disk before anybody hears of it.
#
# Every WRITE_MS by itself, and for every HTTP request, it takes the next number and writes it with its run's name to
# one sector of /dev/vda, past every cache, waiting for the disk. Only then does it answer
#   {"name":"vm1","run":"9f…","number":17,"uptimeMs":5012}
# so a number that was answered and is not on the disk was lost by what is below. Number N lies in sector
# (N - 1) modulo the disk's sectors. A write that fails is answered with 503 and tried again with the same number.
#
# No modules: there are none in the guest. Numbers of system calls and constants are those of Linux on x86-64.
my ($name, $write_ms) = @ARGV;
my ($sector, $magic) = (512, "quorate-guest-1");
my $O_RDWR_DIRECT_DSYNC = 2 | 0x4000 | 0x1000;
my ($SYS_clock_gettime, $SYS_reboot) = (228, 169);

$| = 1;
open(my $id, "<", "/proc/sys/kernel/random/boot_id") or die "boot_id: $!";
my $run = <$id>;
$run =~ s/[^0-9a-f]//g;
$run = substr($run, 0, 16);

sysopen(my $disk, "/dev/vda", $O_RDWR_DIRECT_DSYNC) or die "/dev/vda: $!";
my $sectors = sysseek($disk, 0, 2) / $sector;

# A direct access has to begin at a multiple of the sector's size. So long that perl never has to move it.
my $buffer = "\0" x (4 * $sector);
substr($buffer, 0, 1) = "\0";
my $start = ($sector - unpack("J", pack("p", $buffer)) % $sector) % $sector;

my $number = last_number();
socket(my $listener, 2, 1, 6) or die "socket: $!";
setsockopt($listener, 1, 2, pack("l", 1));
bind($listener, pack("S n a4 x8", 2, 80, "\0\0\0\0")) or die "bind: $!";
listen($listener, 64) or die "listen: $!";
# The power button: `virsh shutdown` presses it.
open(my $button, "<", "/dev/input/event0");
print "$name: run $run begins after number $number, uptime ", uptime_ms(), " ms\n";

my %clients;
my $next_ms = uptime_ms();
while (1) {
  my $wait_ms = $next_ms - uptime_ms();
  my $ready = "";
  vec($ready, fileno($_), 1) = 1 for $listener, ($button ? $button : ()), map { $_->[0] } values %clients;
  select($ready, undef, undef, $wait_ms > 0 ? $wait_ms / 1000 : 0);
  if (uptime_ms() >= $next_ms) {
    advance();
    $next_ms = uptime_ms() + $write_ms;
  }
  if (vec($ready, fileno($listener), 1) && accept(my $client, $listener)) {
    $clients{fileno $client} = [$client, ""];
    # Most have asked already; those who have not are not waited for.
    vec($ready, fileno($client), 1) = 1 if readable($client);
  }
  for my $key (keys %clients) {
    serve($key) if vec($ready, $key, 1);
  }
  power_off() if $button && vec($ready, fileno($button), 1);
}

sub readable {
  my $one = "";
  vec($one, fileno($_[0]), 1) = 1;
  return select($one, undef, undef, 0);
}

sub serve {
  my ($key) = @_;
  my $client = $clients{$key};
  my $count = sysread($client->[0], $client->[1], 4096, length $client->[1]);
  if ($count && $client->[1] !~ /\r?\n\r?\n/) { return }
  if ($count) {
    my $written = advance();
    my $text = $written
      ? qq({"name":"$name","run":"$run","number":$number,"uptimeMs":) . uptime_ms() . "}\n"
      : qq({"name":"$name","run":"$run","error":"$!"}\n);
    my $status = $written ? "200 OK" : "503 Service Unavailable";
    syswrite($client->[0], "HTTP/1.1 $status\r\nContent-Type: application/json\r\nConnection: close\r\n"
      . "Content-Length: " . length($text) . "\r\n\r\n$text");
  }
  close($client->[0]);
  delete $clients{$key};
}

# The next number, if it got to the disk; true then.
sub advance {
  my $next = $number + 1;
  my $head = pack("a16 a16 a16 Q> Q>", $magic, $name, $run, $next, uptime_ms());
  substr($buffer, $start, $sector) = pack("a64 N x444", $head, unpack("%32N*", $head));
  defined sysseek($disk, (($next - 1) % $sectors) * $sector, 0) or return 0;
  my $count = syswrite($disk, $buffer, $sector, $start);
  return 0 unless defined $count && $count == $sector;
  $number = $next;
  return 1;
}

# Numbers stand in order of their sectors, up to the newest; from there on those of the round before.
sub last_number {
  my $first = number_in(0);
  return 0 if $first == 0;
  my ($low, $high) = (0, $sectors);
  while ($high - $low > 1) {
    my $middle = int(($low + $high) / 2);
    if (number_in($middle) >= $first) { $low = $middle } else { $high = $middle }
  }
  return number_in($low);
}

# 0: nothing, or nothing whole.
sub number_in {
  my ($place) = @_;
  sysseek($disk, $place * $sector, 0);
  my $count = sysread($disk, $buffer, $sector, $start);
  die "/dev/vda: $!" unless defined $count && $count == $sector;
  my $head = substr($buffer, $start, 64);
  my ($found, undef, undef, $value) = unpack("Z16 Z16 Z16 Q>", $head);
  my $sum = unpack("N", substr($buffer, $start + 64, 4));
  return $found eq $magic && $sum == unpack("%32N*", $head) ? $value : 0;
}

sub uptime_ms {
  my $time = "\0" x 16;
  syscall($SYS_clock_gettime, 1, $time);
  my ($seconds, $nanoseconds) = unpack("q q", $time);
  return $seconds * 1000 + int($nanoseconds / 1_000_000);
}

sub power_off {
  sysread($button, my $event, 24);
  my (undef, undef, $type, $code, $value) = unpack("q q S S l", $event);
  return unless $type == 1 && $code == 116 && $value == 1;
  print "$name: the power button, after number $number\n";
  syscall($SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc, 0);
}
