// @ts-check
// Notes what a drill does to PostgreSQL among the operations of the clients.

/** @param {import('../history.js').Recorder} recorder @param {string} name @param {() => Promise<unknown>} work */
export async function record(recorder, name, work) {
  const start = recorder.now();
  await work();
  recorder.add({
    kind: 'fault',
    name,
    target: 'postgres',
    isKill: name.includes('kill') || name.includes('stop'),
    replica: 'postgres',
    client: 0,
    start,
    end: recorder.now(),
    outcome: 'ok',
    status: null,
    error: null,
  });
}
