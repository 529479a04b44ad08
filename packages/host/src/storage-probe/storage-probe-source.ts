/**
 * The program that knocks at storages. One process kept open (perl-base is on every Debian), because a socket's user is
 * that of the process that makes it, and ours is root's: it becomes the probe's user before it opens the first one.
 *
 * Reads lines, answers each `look` with `answers ID`, `refused ID WORDS`, `silent ID WORDS` or `failed ID WORDS`:
 *   look ID ADDRESS PORT
 *   drop ID                  nobody waits for it any more: no answer
 * A connection is given up by an RST, the only other packet of its user that the gate lets pass; so the storage's
 * program never hears of it. Ends with its standard input.
 */
export const STORAGE_PROBE_SOURCE = String.raw`
use strict;
use warnings;
use Socket qw(AF_INET AF_INET6 SOCK_STREAM SOL_SOCKET SO_ERROR SO_LINGER inet_pton pack_sockaddr_in pack_sockaddr_in6);
use Errno qw(EINPROGRESS EINTR EPERM EACCES EMFILE ENFILE ENOMEM);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);

$0 = "quorate-storage-probe";
$| = 1;
my $user = shift @ARGV;
$( = $user;
$) = "$user $user";
$< = $user;
$> = $user;
my $trusted = $> == $user && $< == $user;
my (%looking, $input);
$input = "";

sub begin {
  my ($id, $address, $port) = @_;
  return print "failed $id Operation not permitted: cannot become user $user\n" if !$trusted;
  my $family = index($address, ":") >= 0 ? AF_INET6 : AF_INET;
  my $bytes = inet_pton($family, $address);
  return print "failed $id no address: $address\n" if !defined $bytes;
  my $socket;
  return print "failed $id socket: $!\n" if !socket($socket, $family, SOCK_STREAM, 0);
  setsockopt($socket, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0));
  fcntl($socket, F_SETFL, fcntl($socket, F_GETFL, 0) | O_NONBLOCK);
  my $peer = $family == AF_INET6 ? pack_sockaddr_in6($port, $bytes) : pack_sockaddr_in($port, $bytes);
  return print "answers $id\n" if connect($socket, $peer);
  return conclude($id, $!) if !$!{EINPROGRESS};
  $looking{$id} = $socket;
}

sub conclude {
  my ($id, $error) = @_;
  local $! = $error + 0;
  return print "refused $id $!\n" if $!{ECONNREFUSED} || $!{ECONNRESET};
  # Of this host's own making: it says nothing about the storage.
  return print "failed $id connect: $!\n" if $!{EPERM} || $!{EACCES} || $!{EMFILE} || $!{ENFILE} || $!{ENOMEM};
  print "silent $id $!\n";
}

for (;;) {
  my ($reading, $writing) = ("", "");
  vec($reading, fileno(STDIN), 1) = 1;
  vec($writing, fileno($_), 1) = 1 for values %looking;
  my $found = select($reading, $writing, undef, undef);
  next if $found < 0 && $!{EINTR};
  last if $found < 0;
  for my $id (keys %looking) {
    my $socket = $looking{$id};
    next if !vec($writing, fileno($socket), 1);
    delete $looking{$id};
    my $error = unpack("i", getsockopt($socket, SOL_SOCKET, SO_ERROR));
    if ($error == 0) { print "answers $id\n" } else { conclude($id, $error) }
    close($socket);
  }
  next if !vec($reading, fileno(STDIN), 1);
  last if !sysread(STDIN, $input, 65536, length $input);
  while ($input =~ s/^([^\n]*)\n//) {
    my ($verb, $id, @words) = split / /, $1;
    if ($verb eq "look") { begin($id, @words) } else { delete $looking{$id} }
  }
}
`;
