/** How many connections there may be. Beyond the limit the one that was idle longest is closed, so that nobody is shut out by idle ones. */
import type { Socket } from 'node:net';

import { blocksAround, readAddress } from '../../domain/networks.js';

export interface ConnectionRules {
  /** How many there may be. */
  most: number;
  /** Addresses of proxies, through which many networks come. Every other network, and each block of them, gets a quarter. */
  isProxy: (address: string) => boolean;
  /** Since when no request of it has been under way, in milliseconds; null while one is. */
  idleSince: (socket: Socket) => number | null;
  /** A connection was closed, or refused, because there are too many. */
  onDrop: () => void;
}

/** Connections that share a limit. */
interface Crowd {
  most: number;
  sockets: Set<Socket>;
  /** Those that were idle longest when they were last looked for, the longest last. */
  idle: { socket: Socket; since: number }[];
}

/** How many idle connections one look finds: looking at all of them for each new one would be a burden of its own. */
const FOUND_AT_ONCE = 100;

/** Takes in each new connection of a server. */
export function createConnections({
  most,
  isProxy,
  idleSince,
  onDrop,
}: ConnectionRules): (socket: Socket) => void {
  const everybody = createCrowd(most);
  const ofBlocks = new Map<string, Crowd>();

  function crowdsOf(socket: Socket): Map<string, Crowd> {
    const address = readAddress(socket.remoteAddress ?? '');
    const blocks = address === null || isProxy(address) ? [] : blocksAround(address);
    const quarter = Math.max(1, Math.floor(most / 4));
    return new Map(blocks.map((block) => [block, ofBlocks.get(block) ?? createCrowd(quarter)]));
  }

  /** The one that was idle longest. Those found before come first: what was idle since is idle for less long. */
  function findIdlest(crowd: Crowd): Socket | null {
    for (let isFresh = false; ; isFresh = true) {
      for (let found = crowd.idle.pop(); found !== undefined; found = crowd.idle.pop()) {
        const { socket, since } = found;
        if (crowd.sockets.has(socket) && idleSince(socket) === since) return socket;
      }
      if (isFresh) return null;
      crowd.idle = findIdle(crowd);
    }
  }

  function findIdle({ sockets }: Crowd): Crowd['idle'] {
    const idle = Array.from(sockets, (socket) => ({ socket, since: idleSince(socket) }));
    return idle
      .filter((each): each is { socket: Socket; since: number } => each.since !== null)
      .sort((a, b) => b.since - a.since)
      .slice(-FOUND_AT_ONCE);
  }

  function hasRoom(crowd: Crowd): boolean {
    if (crowd.sockets.size < crowd.most) return true;
    onDrop();
    const idlest = findIdlest(crowd);
    if (idlest === null) return false;
    leave.get(idlest)?.();
    idlest.destroy();
    return true;
  }

  const leave = new WeakMap<Socket, () => void>();

  return (socket) => {
    const blocks = crowdsOf(socket);
    const crowds = [...blocks.values(), everybody];
    if (!crowds.every(hasRoom)) {
      socket.destroy();
      return;
    }
    for (const [block, crowd] of blocks) ofBlocks.set(block, crowd);
    for (const { sockets } of crowds) sockets.add(socket);
    const go = () => {
      for (const { sockets } of crowds) sockets.delete(socket);
      for (const [block, { sockets }] of blocks) if (sockets.size === 0) ofBlocks.delete(block);
    };
    leave.set(socket, go);
    socket.once('close', go);
  };
}

function createCrowd(most: number): Crowd {
  return { most, sockets: new Set(), idle: [] };
}
