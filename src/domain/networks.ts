/** Addresses, each in one spelling, and the networks that they are of. */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * The one spelling in which an address is counted, kept and shown: a mapped one (`::ffff:203.0.113.9`) as the IPv4 address that it
 * is, IPv6 as in RFC 5952, without a zone (RFC 4007), which says something to its own machine alone.
 *
 * @returns null for what is no address; `010.0.0.1` is none, since readers disagree whether it is octal
 */
export function readAddress(text: string): string | null {
  const { address } = cutZone(text);
  return isIP(address) === 0 ? null : ipaddr.process(address).toString();
}

/** The network that one subscriber has to choose from: an IPv4 address, or an IPv6 /64. Mapped addresses are IPv4. */
export function networkOf(ip: string): string {
  const address = ipaddr.process(ip);
  if (address.kind() === 'ipv4') return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`).toString()}/64`;
}

/** In bits, from the network of one subscriber to what one site, or one provider's customer, is given. */
const BLOCKS = { ipv4: [32, 24], ipv6: [64, 56, 48] } as const;

/**
 * The blocks that a network lies in, itself first, each as a key that says nothing else: an attacker with a whole block has as many
 * networks as it holds, 65,536 of an IPv6 /48.
 *
 * @param network an address, or what {@link networkOf} says of one
 */
export function blocksAround(network: string): string[] {
  const address = ipaddr.process(network.replace(/\/64$/, ''));
  const bytes = Buffer.from(address.toByteArray());
  return BLOCKS[address.kind()].map((bits) => `${bytes.toString('hex', 0, bits / 8)}/${bits}`);
}

/** An address alone, or all that begin with the same bits. */
interface Range {
  base: ipaddr.IPv4 | ipaddr.IPv6;
  bits: number;
  zone: string | undefined;
}

/** Whether the text is an address or a CIDR range. One that holds every address is refused: it says nothing. */
export function isRange(text: string): boolean {
  return readRange(text) !== null;
}

/**
 * @param ranges addresses and CIDR ranges, mapped ones among them
 * @returns whether one of them holds an address, in whatever spelling; what is no address is in none
 */
export function createRangeTest(ranges: readonly string[]): (text: string) => boolean {
  const known = ranges.flatMap((text) => readRange(text) ?? []);
  return (text) => {
    const { address, zone } = cutZone(text);
    if (known.length === 0 || isIP(address) === 0) return false;
    const candidate = ipaddr.process(address);
    return known.some(
      ({ base, bits, zone: wanted }) =>
        (wanted === undefined || wanted === zone) &&
        base.kind() === candidate.kind() &&
        candidate.match(base, bits),
    );
  };
}

/**
 * A network as PostgreSQL reads it: an address, or a CIDR range of more than none of its bits, IPv4 also as an older version kept it
 * (`::ffff:…`). Null for what is none.
 */
export function readNetwork(text: string): string[] | null {
  const range = readRange(text);
  if (range?.zone !== undefined || range === null) return null;
  const { base, bits } = range;
  const cidr = `${base.toString()}/${bits}`;
  return base.kind() === 'ipv4' ? [cidr, `::ffff:${base.toString()}/${bits + 96}`] : [cidr];
}

function readRange(text: string): Range | null {
  const [written = '', length, ...rest] = text.split('/');
  const family = isIP(written);
  if (family === 0 || rest.length > 0) return null;
  if (length !== undefined && !/^[1-9][0-9]{0,2}$/.test(length)) return null;
  const { address, zone } = cutZone(written);
  const base = ipaddr.process(address);
  const most = base.kind() === 'ipv4' ? 32 : 128;
  const ofMapped = family === 6 && most === 32 ? 96 : 0;
  const bits = length === undefined ? most : Number(length) - ofMapped;
  return bits >= 1 && bits <= most ? { base, bits, zone } : null;
}

function cutZone(text: string): { address: string; zone: string | undefined } {
  const at = text.indexOf('%');
  if (at === -1) return { address: text, zone: undefined };
  return { address: text.slice(0, at), zone: text.slice(at + 1) };
}

/** Whether two hosts to listen on have an address in common, so that the same port is not free for both. Of names only `localhost` is known. */
export function haveCommonAddress(one: string, other: string): boolean {
  const others = addressesOf(other);
  return addressesOf(one).some((a) => others.some((b) => a === b || covers(a, b) || covers(b, a)));
}

function addressesOf(host: string): string[] {
  const name = host.toLowerCase();
  return name === 'localhost' ? ['127.0.0.1', '::1'] : [readAddress(name) ?? name];
}

/** `::` is every address of both families, `0.0.0.0` every IPv4 address. */
function covers(every: string, address: string): boolean {
  return every === '::' || (every === '0.0.0.0' && isIP(address) !== 6);
}

/** Whether a host, as it stands in a URL or as an address to listen on, is this machine itself. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost')) return true;
  return isIP(bare) !== 0 && ipaddr.process(bare).range() === 'loopback';
}
