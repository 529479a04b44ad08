/**
 * The program that speaks ARP and NDP for us, since Node has no raw sockets. Perl, because perl-base is on every Debian
 * (arping knows no NDP, ndsend is not packaged) and one kept-open process announces in 0.1 ms instead of a spawn.
 *
 * Reads lines, answers each with `ok ID`, `held ID` (a gate kept the frame) or `failed ID WORDS`:
 *   announce ID DEVICE ADDRESS    gratuitous ARP, request and reply; or unsolicited NA, override
 *   ask ID DEVICE ADDRESS         ARP probe from 0.0.0.0; or NS from ::
 *   watch ID [DEVICE,ADDRESS …]   from now on exactly these
 * Says by itself `claim DEVICE ADDRESS MAC` when another machine's ARP or NA claims a watched address, and
 * `lost DEVICE` when it can't watch there. The kernel drops all other frames by a socket filter, so it sleeps until
 * somebody claims. Ends with its standard input. NA goes through an ICMPv6 socket, hence through the ip6 table.
 */
export const LINK_HELPER_SOURCE = String.raw`
use strict;
use warnings;
use Socket qw(AF_INET AF_INET6 SOCK_DGRAM SOCK_RAW SOL_SOCKET inet_pton pack_sockaddr_in6);
use Errno qw(EPERM ENOBUFS EAGAIN EINTR);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);

$0 = "quorate-announcer";
$| = 1;
my ($ETH_ARP, $ETH_IPV6, $AF_PACKET, $ICMPV6) = (0x0806, 0x86dd, 17, 58);
my %watching;
my $sender;
my ($claim_second, $claims) = (0, 0);

sub device_of {
  my ($name) = @_;
  socket(my $socket, AF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
  my $request = pack("a16 x24", $name);
  ioctl($socket, 0x8933, $request) or die "Cannot find device \"$name\"\n";
  my $index = unpack("x16 i", $request);
  $request = pack("a16 x24", $name);
  ioctl($socket, 0x8927, $request) or die "Cannot find device \"$name\"\n";
  return ($index, substr($request, 18, 6));
}

sub link_address {
  my ($protocol, $index, $mac) = @_;
  return pack("S n i S C C a8", $AF_PACKET, $protocol, $index, 0, 0, 6, $mac);
}

sub is_ipv6 { return index($_[0], ":") >= 0 }

sub bytes_of {
  my ($address) = @_;
  return inet_pton(is_ipv6($address) ? AF_INET6 : AF_INET, $address) // die "no address: $address\n";
}

sub held { return $!{EPERM} || $!{ENOBUFS} }

sub send_frame {
  my ($protocol, $index, $to, $frame) = @_;
  # Kept open: closing a packet socket waits for the kernel's readers, some 10 ms.
  if (!$sender) {
    socket($sender, $AF_PACKET, SOCK_RAW, 0) or die "packet socket: $!\n";
  }
  return "ok" if defined send($sender, $frame, 0, link_address($protocol, $index, $to));
  return "held" if held();
  die "send: $!\n";
}

sub send_arp {
  my ($device, $operation, $sender, $target_mac, $target) = @_;
  my ($index, $mac) = device_of($device);
  my $broadcast = "\xff" x 6;
  $target_mac //= $mac;
  my $frame = $broadcast . $mac . pack("n", $ETH_ARP)
    . pack("n n C C n", 1, 0x0800, 6, 4, $operation) . $mac . $sender . $target_mac . $target;
  return send_frame($ETH_ARP, $index, $broadcast, $frame);
}

sub checksum {
  my ($data) = @_;
  my $sum = 0;
  $sum += $_ for unpack("n*", $data);
  $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
  return ~$sum & 0xffff;
}

sub ask_ipv6 {
  my ($device, $target) = @_;
  my ($index, $mac) = device_of($device);
  my $tail = substr($target, 13);
  my $group = "\xff\x02" . ("\0" x 9) . "\x01\xff" . $tail;
  my $source = "\0" x 16;
  my $body = pack("C C n N", 135, 0, 0, 0) . $target;
  my $sum = checksum($source . $group . pack("N x3 C", length $body, $ICMPV6) . $body);
  substr($body, 2, 2) = pack("n", $sum);
  my $to = "\x33\x33\xff" . $tail;
  my $header = pack("N n C C", 0x60000000, length $body, $ICMPV6, 255) . $source . $group;
  return send_frame($ETH_IPV6, $index, $to, $to . $mac . pack("n", $ETH_IPV6) . $header . $body);
}

sub announce_ipv6 {
  my ($device, $target) = @_;
  my ($index, $mac) = device_of($device);
  my $router = 0;
  if (open(my $file, "<", "/proc/sys/net/ipv6/conf/$device/forwarding")) {
    $router = (readline($file) // 0) + 0;
  }
  socket(my $socket, AF_INET6, SOCK_RAW, $ICMPV6) or die "ICMPv6 socket: $!\n";
  setsockopt($socket, 41, 18, pack("i", 255)) or die "hop limit: $!\n";
  setsockopt($socket, 41, 17, pack("i", $index)) or die "multicast interface: $!\n";
  bind($socket, pack_sockaddr_in6(0, $target)) or die "the address is not on this host: $!\n";
  my $flags = 0x20000000 | ($router ? 0x80000000 : 0);
  my $body = pack("C C n N", 136, 0, 0, $flags) . $target . pack("C C", 2, 1) . $mac;
  my $everybody = inet_pton(AF_INET6, "ff02::1");
  return "ok" if defined send($socket, $body, 0, pack_sockaddr_in6(0, $everybody, $index));
  return "held" if held();
  die "send: $!\n";
}

sub announce {
  my ($device, $address) = @_;
  my $bytes = bytes_of($address);
  return announce_ipv6($device, $bytes) if is_ipv6($address);
  my $first = send_arp($device, 1, $bytes, "\0" x 6, $bytes);
  my $second = send_arp($device, 2, $bytes, undef, $bytes);
  return $first eq "ok" ? $second : $first;
}

sub ask {
  my ($device, $address) = @_;
  my $bytes = bytes_of($address);
  return ask_ipv6($device, $bytes) if is_ipv6($address);
  return send_arp($device, 1, "\0" x 4, "\0" x 6, $bytes);
}

# Accepts frames in which the word at the offset is one of these, after the given tests.
sub filter_of {
  my ($tests, $offset, @words) = @_;
  my @program;
  for my $test (@$tests) {
    my ($at, $value) = @$test;
    push @program, pack("S C C L", 0x30, 0, 0, $at), pack("S C C L", 0x15, 1, 0, $value), pack("S C C L", 0x06, 0, 0, 0);
  }
  push @program, pack("S C C L", 0x20, 0, 0, $offset);
  my $left = @words;
  push @program, pack("S C C L", 0x15, $left--, 0, $_) for @words;
  push @program, pack("S C C L", 0x06, 0, 0, 0), pack("S C C L", 0x06, 0, 0, 0xffff);
  return \@program;
}

sub attach {
  my ($socket, $program) = @_;
  my $code = join("", @$program);
  setsockopt($socket, SOL_SOCKET, 26, pack("S x6 P", scalar @$program, $code)) or die "socket filter: $!\n";
}

sub open_watch {
  my ($protocol, $index, $program) = @_;
  # Bound to its protocol only once the filter is in place, so that nothing else ever gets in.
  socket(my $socket, $AF_PACKET, SOCK_RAW, 0) or die "packet socket: $!\n";
  attach($socket, $program);
  bind($socket, link_address($protocol, $index, "\0" x 6)) or die "bind: $!\n";
  fcntl($socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK) or die "non-blocking: $!\n";
  return $socket;
}

sub lost {
  my ($device) = @_;
  delete $watching{$device};
  print "lost $device\n";
}

sub watch_device {
  my ($device, @addresses) = @_;
  my ($index) = device_of($device);
  my $watch = $watching{$device};
  $watch = $watching{$device} = { index => $index } if !$watch || $watch->{index} != $index;
  my %address_of = map { (bytes_of($_) => $_) } @addresses;
  $watch->{addresses} = \%address_of;
  my @ipv4 = map { unpack("N", $_) } grep { length == 4 } sort keys %address_of;
  my @ipv6 = map { unpack("x12 N", $_) } grep { length == 16 } sort keys %address_of;
  my %programs = (
    $ETH_ARP => filter_of([], 28, @ipv4),
    $ETH_IPV6 => filter_of([[20, $ICMPV6], [54, 136]], 74, @ipv6),
  );
  for my $protocol ($ETH_ARP, $ETH_IPV6) {
    if (!($protocol == $ETH_ARP ? @ipv4 : @ipv6)) { delete $watch->{sockets}{$protocol} }
    elsif (my $socket = $watch->{sockets}{$protocol}) { attach($socket, $programs{$protocol}) }
    else { $watch->{sockets}{$protocol} = open_watch($protocol, $index, $programs{$protocol}) }
  }
}

sub watch {
  my %addresses;
  for my $pair (@_) {
    my ($device, $address) = split(/,/, $pair, 2);
    push @{ $addresses{$device} }, $address;
  }
  delete $watching{$_} for grep { !$addresses{$_} } keys %watching;
  for my $device (sort keys %addresses) {
    next if eval { watch_device($device, @{ $addresses{$device} }); 1 };
    die $@ if $@ !~ /^Cannot find device/;
    lost($device);
  }
  return "ok";
}

sub receive {
  my ($device, $protocol, $socket) = @_;
  for (1 .. 64) {
    my $from = recv($socket, my $frame, 2048, 0);
    if (!defined $from) {
      lost($device) if !($!{EAGAIN} || $!{EINTR});
      return;
    }
    my $address = $watching{$device}{addresses}{ substr($frame, $protocol == $ETH_ARP ? 28 : 62, $protocol == $ETH_ARP ? 4 : 16) };
    my $mac = substr($frame, $protocol == $ETH_ARP ? 22 : 6, 6);
    my (undef, $own) = eval { device_of($device) };
    next if !defined $address || !defined $own || $mac eq $own || substr($frame, 6, 6) eq $own;
    # A flood of claims is as good as twenty a second.
    my $second = time;
    ($claim_second, $claims) = ($second, 0) if $second != $claim_second;
    next if ++$claims > 20;
    print "claim $device $address ", join(":", map { sprintf("%02x", $_) } unpack("C6", $mac)), "\n";
  }
}

sub obey {
  my ($verb, $id, @words) = split(/ /, $_[0]);
  my $answer = eval {
    $verb eq "announce" ? announce(@words) : $verb eq "ask" ? ask(@words) : $verb eq "watch" ? watch(@words) : die "what?\n";
  };
  my $fault = $@;
  chomp $fault;
  print defined $answer ? "$answer $id\n" : "failed $id $fault\n";
}

my $pending = "";
while (1) {
  my $bits = "";
  vec($bits, fileno(STDIN), 1) = 1;
  my @sockets;
  for my $device (sort keys %watching) {
    my $sockets = $watching{$device}{sockets} // {};
    push @sockets, [$device, $_, $sockets->{$_}] for sort keys %$sockets;
  }
  vec($bits, fileno($_->[2]), 1) = 1 for @sockets;
  next if select($bits, undef, undef, undef) <= 0;
  for my $entry (@sockets) {
    receive(@$entry) if vec($bits, fileno($entry->[2]), 1) && $watching{ $entry->[0] };
  }
  next if !vec($bits, fileno(STDIN), 1);
  my $count = sysread(STDIN, $pending, 65536, length $pending);
  exit 0 if !$count;
  obey($1) while $pending =~ s/^([^\n]*)\n//;
}
`;
