/** The signals that tell a process of ours to end, by a supervisor, a terminal that closes, or a key. */

/** Left to themselves they would end us at once, and leave an embedded PostgreSQL running. Windows alone knows SIGBREAK. */
export const SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGBREAK'] as const;
export type Signal = (typeof SIGNALS)[number];

const ECHO_MS = 1000;

/** Whether somebody has pressed a key, who waits for us; no load balancer has to be told first. */
export function isFromKeyboard(signal: Signal): boolean {
  return signal === 'SIGINT' || signal === 'SIGQUIT' || signal === 'SIGBREAK';
}

/**
 * Keeps signals from ending this process, and hears the first of them.
 *
 * A terminal and npm both tell of one Ctrl-C: what follows at once is the same again, and a later one ends us where we
 * stand. A terminal that closes tells as often as somebody is left to tell, and nobody is left to press a key twice: all
 * of these are the same. The listeners stay all the time: where there is none for a moment, the next signal ends us.
 *
 * @returns `forget` gives signals their own effect back
 */
export function hearSignals(): { told: Promise<Signal>; forget: () => void } {
  let tell: (signal: Signal) => void;
  const told = new Promise<Signal>((resolve) => (tell = resolve));
  const forget = (but?: Signal) => {
    for (const name of SIGNALS) if (name !== but) process.off(name, hear);
  };
  function hear(signal: NodeJS.Signals): void {
    tell(signal as Signal);
    setTimeout(() => forget('SIGHUP'), ECHO_MS).unref();
  }
  for (const name of SIGNALS) process.on(name, hear);
  return { told, forget: () => forget() };
}
