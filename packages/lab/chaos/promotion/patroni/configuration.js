// @ts-check
// What etcd, Patroni, HAProxy and PgBouncer are told: the settings that docs/failover.md recommends.

export const SCOPE = 'gatehouse';

/**
 * The shortest lease that Patroni accepts. Patroni wants loop_wait + 2 * retry_timeout to be at most ttl, and takes its
 * PostgreSQL down loop_wait + retry_timeout after it was cut off at the latest: well before the lease ends.
 */
export const LEASE = { ttl: 20, loop_wait: 5, retry_timeout: 5 };

/** Two replicas of 15 connections, both through one front, beside Patroni's own, those of standbys and those of the drill. */
const MAX_CONNECTIONS = 200;

/**
 * @typedef {object} Place where one server listens
 * @property {string} name
 * @property {string} members its address for the other servers
 * @property {string} users its address for HAProxy, and for the drill's own questions
 * @property {string[]} listen the addresses of its network interfaces
 * @property {number} port of PostgreSQL
 * @property {number} restPort of Patroni
 */

/**
 * Patroni's configuration, as JSON: which is YAML, too.
 *
 * @param {{ place: Place, etcd: string, directory: string, binaries: string, password: string }} options
 */
export function configurePatroni({ place, etcd, directory, binaries, password }) {
  const { name, members, listen, port, restPort } = place;
  return {
    scope: SCOPE,
    name,
    restapi: {
      // Patroni takes one address alone.
      listen: `${listen.length === 1 ? listen[0] : '0.0.0.0'}:${restPort}`,
      connect_address: `${members}:${restPort}`,
    },
    etcd3: { hosts: [etcd] },
    bootstrap: {
      dcs: {
        ...LEASE,
        synchronous_mode: true,
        synchronous_mode_strict: true,
        synchronous_node_count: 1,
        postgresql: {
          use_pg_rewind: true,
          use_slots: true,
          remove_data_directory_on_rewind_failure: true,
          remove_data_directory_on_diverged_timelines: true,
          parameters: { max_connections: MAX_CONNECTIONS, wal_keep_size: '1GB', log_connections: 'on' },
        },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'data-checksums'],
      pg_hba: [
        'host all all 127.0.0.1/32 scram-sha-256',
        'host all all 198.18.0.0/15 scram-sha-256',
        'host replication all 127.0.0.1/32 scram-sha-256',
        'host replication all 198.18.0.0/15 scram-sha-256',
      ],
    },
    postgresql: {
      listen: `${listen.join(',')}:${port}`,
      connect_address: `${members}:${port}`,
      data_dir: `${directory}/${name}`,
      bin_dir: binaries,
      pgpass: `${directory}/${name}.pgpass`,
      authentication: {
        superuser: { username: 'admin', password },
        replication: { username: 'follower', password },
        rewind: { username: 'rewinder', password },
      },
      parameters: { unix_socket_directories: '' },
    },
    // A drill must not reset the machine that it runs on: production needs a watchdog (docs/failover.md).
    watchdog: { mode: 'off' },
  };
}

/** @param {{ bind: string, socket: string, places: Place[] }} options */
export function configureHaproxy({ bind, socket, places }) {
  return `global
  stats socket unix@${socket} mode 600 level admin
listen primary
  bind ${bind}
  mode tcp
  # A connection that fails is to fail at once: Gatehouse asks again by itself.
  retries 0
  timeout connect 1s
  timeout check 1s
  timeout client 1h
  timeout server 1h
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server check inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
${places.map(({ name, users, port, restPort }) => `  server ${name} ${users}:${port} port ${restPort}`).join('\n')}
`;
}

/** @param {{ port: number, database: { host: string, port: number }, usersFile: string }} options */
export function configurePgBouncer({ port, database, usersFile }) {
  return `[databases]
* = host=${database.host} port=${database.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${usersFile}
pool_mode = session
default_pool_size = 40
server_lifetime = 0
server_login_retry = 1
server_connect_timeout = 2
query_wait_timeout = 5
`;
}
