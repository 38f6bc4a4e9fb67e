// deploy/: what its files name is there, in Gatehouse and in each other. No container and no cluster is started.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

import { readConfig, type Config } from '../../src/config/config.js';
import { VARIABLES } from '../../src/config/variables.js';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

const SOME_SECRET = 'a-secret-of-tests-only-f3Kq9zVt7Lw2Xb5n';

/** Stand for the files that a deployment mounts: certificates, and secrets. */
let certificate: string;
let secret: string;

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-deploy-'));
  certificate = join(directory, 'ca.crt');
  secret = join(directory, 'secret');
  await writeFile(certificate, rootCertificates[0] ?? '');
  await writeFile(secret, SOME_SECRET);
  return () => rm(directory, { recursive: true });
});

/** The configuration that Gatehouse makes of an environment, with files that exist in the place of those mounted. */
function configurationOf(environment: Record<string, string>): Readonly<Config> {
  const given = Object.entries(environment).map(([name, value]) => [
    name,
    value.replace(/\/secrets\/[\w./-]+/, (path) => (path.endsWith('.crt') ? certificate : secret)),
  ]);
  return readConfig(Object.fromEntries(given) as Record<string, string>);
}

const IMAGE = read('Dockerfile');
const PORT_OF_IMAGE = Number(/^EXPOSE (\d+)$/m.exec(IMAGE)?.[1]);
const PATHS = [...read('src/http/routes/health.ts').matchAll(/app\.get\('([^']+)'/g)].map(([, path]) => path);

interface Probe {
  httpGet: { path: string; port: string };
}

interface Manifest {
  kind: string;
  metadata: { name: string; labels: Record<string, string> };
  spec: {
    replicas?: number;
    selector?: { matchLabels?: Record<string, string> } & Record<string, unknown>;
    template?: {
      metadata: { labels: Record<string, string> };
      spec: {
        securityContext: Record<string, unknown>;
        terminationGracePeriodSeconds: number;
        volumes: { name: string; secret: { secretName: string; items: { key: string; path: string }[] } }[];
        containers: {
          ports: { name: string; containerPort: number }[];
          env: { name: string; value: string }[];
          volumeMounts: { name: string; mountPath: string }[];
          securityContext: Record<string, unknown>;
          lifecycle: { preStop: { sleep: { seconds: number } } };
          startupProbe: Probe;
          readinessProbe: Probe;
          livenessProbe: Probe;
        }[];
      };
    };
    ports?: { name: string; port: number; targetPort: string }[];
    podSelector?: { matchLabels: Record<string, string> };
    ingress?: { ports: { port: number }[] }[];
    egress?: { to: { podSelector: { matchLabels: Record<string, string> } }[]; ports: { port: number }[] }[];
    instances?: number;
    bootstrap?: { initdb: { database: string; owner: string } };
    postgresql?: { synchronous: Record<string, unknown>; parameters: Record<string, string> };
  };
}

/** Of any version of YAML: Kubernetes reads 1.1, in which 0440 is 288. */
const manifests = ['database', 'gatehouse', 'network'].flatMap((name) =>
  parseAllDocuments(read(`deploy/kubernetes/${name}.yaml`), { merge: true }).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Manifest;
  }),
);

function find(kind: string, name = 'gatehouse'): Manifest {
  const [found, ...more] = manifests.filter((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined || more.length > 0) throw new Error(`${more.length} more than one ${kind} ${name}`);
  return found;
}

describe('the manifests for Kubernetes', () => {
  const cluster = find('Cluster', 'gatehouse-db');
  const deployment = find('Deployment');
  const { template } = deployment.spec;
  if (template === undefined) throw new Error('the Deployment has no template');
  const pod = template.spec;
  const [container, ...others] = pod.containers;
  if (container === undefined) throw new Error('the Deployment has no container');
  const environment = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
  const url = new URL(environment['DATABASE_URL'] ?? '');

  it('hold one container, whose variables Gatehouse reads, and makes a configuration of', () => {
    expect(others).toEqual([]);
    expect(Object.keys(environment).filter((name) => !VARIABLES.includes(name))).toEqual([]);
    const config = configurationOf(environment);
    expect(config.warnings).toEqual([]);
    expect(config.issuer).toBe('https://login.example.com');
  });

  it('repeat nothing that the image sets, and use its port', () => {
    for (const name of Object.keys(environment)) expect(IMAGE).not.toMatch(new RegExp(`\\b${name}=`));
    expect(container.ports).toEqual([{ name: 'http', containerPort: PORT_OF_IMAGE }]);
    expect(find('Service').spec.ports).toMatchObject([{ targetPort: 'http' }]);
  });

  it('mount each file that is named, from a secret that somebody makes, and no other', () => {
    const named = Object.values(environment).flatMap((value) => value.match(/\/secrets\/[\w./-]+/) ?? []);
    const mounted = container.volumeMounts.flatMap(({ name, mountPath }) => {
      const volume = pod.volumes.find((each) => each.name === name);
      return volume?.secret.items.map(({ path }) => `${mountPath}/${path}`) ?? [];
    });
    expect(mounted.sort()).toEqual(named.sort());
    const secrets = pod.volumes.map(({ secret }) => secret.secretName).sort();
    // The operator makes the first two, and a command of deploy/README.md the third.
    const { name } = cluster.metadata;
    expect(secrets).toEqual(['gatehouse-auth', `${name}-app`, `${name}-ca`].sort());
    for (const page of ['deploy/README.md', 'deploy/kubernetes/gatehouse.yaml'])
      expect(read(page)).toContain('kubectl create secret generic gatehouse-auth --from-literal=secret=');
  });

  it('lead to the primary of the cluster, to its database, as its owner, and check its certificate', () => {
    expect(url.hostname).toBe(`${cluster.metadata.name}-rw`);
    expect([url.pathname, url.username]).toEqual([
      `/${cluster.spec.bootstrap?.initdb.database ?? ''}`,
      cluster.spec.bootstrap?.initdb.owner,
    ]);
    expect(url.searchParams.get('sslmode')).toBe('verify-full');
  });

  it('acknowledge nothing that a failover could forget', () => {
    expect(cluster.spec.instances).toBe(3);
    expect(cluster.spec.postgresql?.synchronous).toEqual({
      method: 'any',
      number: 1,
      dataDurability: 'required',
      failoverQuorum: true,
    });
  });

  it('leave connections for all processes of a rolling update, as many as docs/failover.md says', () => {
    const [, each] = /(\d+) connections at most per process/.exec(read('docs/failover.md')) ?? [];
    const processes = (deployment.spec.replicas ?? 0) + 1;
    const most = Number(cluster.spec.postgresql?.parameters['max_connections']);
    // Half is for commits that wait.
    expect(most).toBeGreaterThan(2 * processes * Number(each));
  });

  it('ask a path that needs no database, so that no failure of it takes all replicas away', () => {
    for (const { httpGet } of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
      expect(PATHS).toContain(httpGet.path);
      expect(httpGet).toEqual({ path: '/health', port: 'http' });
    }
  });

  it('give a pod that goes the time that it takes', () => {
    const { seconds } = container.lifecycle.preStop.sleep;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(seconds + 20);
  });

  it('run as the user of the image, without any right, and write nowhere', () => {
    expect(IMAGE).toMatch(/^USER node$/m);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  it('select the pods that they mean', () => {
    const { labels } = template.metadata;
    const selectors = [
      deployment.spec.selector?.matchLabels,
      find('Service').spec.selector,
      find('PodDisruptionBudget').spec.selector?.matchLabels,
      find('NetworkPolicy').spec.podSelector?.matchLabels,
    ];
    for (const selector of selectors) {
      expect(selector).not.toEqual({});
      expect(labels).toMatchObject(selector ?? { none: '' });
    }
    expect(find('NetworkPolicy', 'gatehouse-db').spec.podSelector?.matchLabels).toEqual({
      'cnpg.io/cluster': cluster.metadata.name,
    });
  });

  it('open the ports that are used', () => {
    const { ingress, egress } = find('NetworkPolicy').spec;
    expect(ingress?.flatMap(({ ports }) => ports)).toEqual([{ port: PORT_OF_IMAGE }]);
    const toDatabase = egress?.find(({ to }) =>
      to.some(({ podSelector }) => podSelector.matchLabels['cnpg.io/cluster'] === cluster.metadata.name),
    );
    expect(toDatabase?.ports).toEqual([{ port: Number(url.port) }]);
  });
});

interface Service {
  image?: string;
  build?: { context: string };
  environment?: Record<string, string | null>;
  volumes?: string[];
  depends_on?: Record<string, unknown>;
  configs?: { source: string; target: string }[];
  command?: string[];
  ports?: string[];
}

interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, null>;
  configs: Record<string, { file: string }>;
  networks: { default: { ipam: { config: { subnet: string }[] } } };
}

const parseCompose = (path: string) => parse(read(path), { merge: true }) as Compose;

describe('the pair for Docker Compose', () => {
  const pair = parseCompose('deploy/compose/compose.yml');
  const single = parseCompose('docker-compose.yml');
  const services = Object.entries(pair.services);
  const replicas = services.filter(([, { build }]) => build !== undefined).map(([, service]) => service);

  it('has two replicas with variables that Gatehouse reads, and makes a configuration of', () => {
    expect(replicas).toHaveLength(2);
    for (const { environment = {} } of replicas) {
      expect(Object.keys(environment).filter((name) => !VARIABLES.includes(name))).toEqual([]);
      const set = Object.entries(environment).flatMap(([name, value]) =>
        value === null || value.includes('${') ? [] : [[name, value] as const],
      );
      expect(configurationOf(Object.fromEntries(set)).trustProxy).toEqual([
        pair.networks.default.ipam.config[0]?.subnet,
      ]);
    }
  });

  it('is one of docker-compose.yml, which passes on every setting but those that it makes itself, or that a container has no use for', () => {
    const { environment = {} } = single.services['gatehouse'] ?? {};
    const made = ['AUTH_SECRET', 'DATA_DIR', 'HOST'];
    expect(VARIABLES.filter((name) => !(name in environment)).sort()).toEqual(made);
  });

  it('passes on the settings that docker-compose.yml passes on, but for the port', () => {
    const passed = Object.keys(single.services['gatehouse']?.environment ?? {}).filter(
      (name) => name !== 'PORT',
    );
    expect(Object.keys(replicas[0]?.environment ?? {}).sort()).toEqual(passed.sort());
  });

  it('names services, volumes and files that are there, and no volume in vain', () => {
    const used = new Set<string>();
    for (const [name, { depends_on = {}, volumes = [], configs = [] }] of services) {
      for (const other of Object.keys(depends_on)) expect(pair.services, name).toHaveProperty([other]);
      for (const volume of volumes) used.add(volume.split(':')[0] ?? '');
      for (const { source } of configs) {
        const { file = '' } = pair.configs[source] ?? {};
        expect(read(`deploy/compose/${file}`), name).not.toBe('');
      }
    }
    expect([...used].sort()).toEqual(Object.keys(pair.volumes).sort());
  });

  it('makes each secret that is read', () => {
    const text = read('deploy/compose/compose.yml');
    const made = [...text.matchAll(/^ +make (\/secrets\/\S+) /gm)].map(([, file]) => file);
    const named = new Set(text.match(/\/secrets\/\w+\/\w+/g));
    expect([...named].sort()).toEqual(made.sort());
  });

  it('publishes one port, on this machine alone', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports);
    expect(published).toEqual(['127.0.0.1:${PORT:-3000}:3000']);
  });

  it('has the replicas and servers that HAProxy leads to, at the ports where they listen', () => {
    const text = read('deploy/compose/haproxy.cfg');
    const targets = [...text.matchAll(/^ +server \S+ ([\w-]+):(\d+)/gm)].map(([, host, port]) => ({
      host,
      port,
    }));
    expect(targets).toHaveLength(6);
    for (const { host = '', port } of targets) {
      expect(pair.services).toHaveProperty([host]);
      expect(port).toBe(host.startsWith('gatehouse') ? String(PORT_OF_IMAGE) : '5432');
    }
    for (const [, path] of text.matchAll(/http-check send meth GET uri (\S+)/g))
      expect(PATHS).toContain(path);
  });
});
