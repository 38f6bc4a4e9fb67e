/** Whose address it is, as far as an address tells: the network that one subscriber has to choose from. */
import ipaddr from 'ipaddr.js';

/** An IPv4 address, or an IPv6 /64. Mapped addresses are IPv4. */
export function networkOf(ip: string): string {
  const address = ipaddr.process(ip);
  if (address.kind() === 'ipv4') return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`).toString()}/64`;
}
