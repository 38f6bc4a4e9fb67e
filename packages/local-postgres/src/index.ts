// The PostgreSQL that arrives with npm: for a service that has no other, and for what tests, measures and drills.
export { choosePort } from './address.js';
export { describeCluster, ensureCluster, type Cluster } from './cluster.js';
export { enterEmbedded, isServed, type EmbeddedDatabase } from './embedded.js';
export { findLauncher, runProgram } from './launcher.js';
export { LocalPostgresRefusal } from './refusal.js';
export type { ClientClass, Role } from './client.js';
export { keepSecret } from './secret-file.js';
export { findPostmaster, startPostmaster, stopPostmaster } from './server.js';
