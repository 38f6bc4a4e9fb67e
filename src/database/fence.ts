/** The fence: of several primaries a replica believes the one that was promoted last, as far as it has heard of it. */
import type { Client } from './driver.js';

/** Why a connection is not used, in words that hold no value. */
export const OVERTAKEN = 'connected to a primary whose place another one has taken';

/** Which server a connection leads to. Neither changes while the connection lives. */
export interface Server {
  /** Of the database cluster: its standbys have the same, a restored dump has another. */
  identifier: string;
  /** Counts promotions. */
  timeline: number;
}

export interface Fence {
  /** False once a server did not tell who it is. */
  isOn: () => boolean;
  /** For servers that do not tell: from now on they are not asked, and every primary that answers is believed. */
  turnOff: () => void;
  /**
   * Takes note of where the address of the database leads, for connections that this one overtakes: they are broken off, and answers
   * that are under way on them no longer come.
   *
   * @returns false when this replica has heard of a later timeline
   */
  hear: (server: Server) => boolean;
  /**
   * Believes a new connection, unless this replica has heard of a later timeline. {@link hear} is told of it.
   *
   * @returns whether the connection may answer
   */
  admit: (client: Client, server: Server) => boolean;
}

/**
 * What one process has heard from any of its connections; shared by all its pools.
 *
 * @param onOff is called when the fence is turned off, once
 * @param onHeard is told of each connection that is believed
 */
export function createFence(
  onOff: () => void = () => undefined,
  onHeard: (server: Server) => void = () => undefined,
): Fence {
  const highest = new Map<string, number>();
  const open = new Map<Client, Server>();
  let isOn = true;

  function breakOff(isOvertaken: (server: Server) => boolean): void {
    for (const [client, server] of open) {
      if (!isOvertaken(server)) continue;
      open.delete(client);
      client.breakOff(new Error(OVERTAKEN));
    }
  }

  function hear(server: Server): boolean {
    const known = highest.get(server.identifier) ?? 0;
    if (server.timeline < known) return false;
    highest.set(server.identifier, server.timeline);
    // Another cluster that is ours too is where the address leads now: two at once would be two truths.
    breakOff((other) => other.identifier !== server.identifier || other.timeline < server.timeline);
    onHeard(server);
    return true;
  }

  return {
    hear,
    isOn: () => isOn,
    turnOff: () => {
      if (isOn) onOff();
      isOn = false;
    },
    admit: (client, server) => {
      if (!hear(server)) return false;
      open.set(client, server);
      client.once('end', () => open.delete(client));
      return true;
    },
  };
}
