// How many signatures one core checks and makes in a second, and nothing else: the limit of tokens that are new to a server.
// Usage: node packages/lab/bench/signatures.js BYTES SECONDS; prints one line of JSON
import { generateKeyPairSync, sign, verify } from 'node:crypto';

const KEYS = {
  EdDSA: [generateKeyPairSync('ed25519'), null, {}],
  ES256: [generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'sha256', { dsaEncoding: 'ieee-p1363' }],
  RS256: [generateKeyPairSync('rsa', { modulusLength: 2048 }), 'sha256', {}],
};

const [bytes, seconds] = process.argv.slice(2).map(Number);
const text = Buffer.alloc(bytes, 'a');

const figures = {};
for (const [algorithm, [{ publicKey, privateKey }, digest, options]] of Object.entries(KEYS)) {
  const signature = sign(digest, text, { key: privateKey, ...options });
  figures[algorithm] = {
    verifiesPerSecond: rateOf(() => verify(digest, text, { key: publicKey, ...options }, signature)),
    signsPerSecond: rateOf(() => sign(digest, text, { key: privateKey, ...options })),
  };
}
process.stdout.write(`${JSON.stringify(figures)}\n`);

/** By CPU time: whoever else uses the core does not count. */
function rateOf(work) {
  for (let warmUp = 0; warmUp < 500; warmUp += 1) work();
  const before = process.cpuUsage();
  const endsAt = performance.now() + 1000 * seconds;
  let done = 0;
  for (; performance.now() < endsAt; done += 1) work();
  const { user, system } = process.cpuUsage(before);
  return (1e6 * done) / (user + system);
}
