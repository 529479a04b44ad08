/** One spelling per address, so that `fd00:0::1` and `fd00::1` compare as equal. The address must be valid. */
export function normaliseAddress(address: string): string {
  if (!address.includes(":")) return address;
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}
