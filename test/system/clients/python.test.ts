// Python's clients, with the programs and settings of docs/clients.md.
import { writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { describeWhere, findPython, PATH, startProgram } from '../../support/programs.js';
import { replaceOnce } from '../gateways/gateway.js';
import { checkClient, overHttp, type Client, type Started } from './checks.js';
import type { Stage } from './stage.js';

/** Starts what has been written into a directory by the last line that the page has for it, on another port. */
async function serve(
  python: string,
  stage: Stage,
  directory: string,
  heading: string,
  { more = [], environment = {} }: { more?: string[]; environment?: Record<string, string> } = {},
): Promise<Started> {
  const port = await findFreePort();
  const lines = stage.snippet(heading, 'sh').trimEnd();
  const parameters = lines
    .slice(lines.lastIndexOf('python3 -m '))
    .replace('4000', `${port}`)
    .split(' ')
    .slice(1);
  const running = await startProgram(python, [...parameters, ...more], {
    port,
    directory,
    environment: { CLIENT_SECRET: stage.client.secret, PYTHONDONTWRITEBYTECODE: '1', ...environment },
  });
  return { ...running, ask: overHttp(`http://127.0.0.1:${port}/orders`) };
}

const PROGRAMS: {
  client: Omit<Client, 'start'>;
  modules: string;
  packages: string;
  required?: string;
  start: (python: string, stage: Stage, directory: string, isKeeping: boolean) => Promise<Started>;
}[] = [
  {
    client: {
      name: 'Authlib with Flask',
      unavailable: 503,
      withoutScope: [403],
      names: 'sub',
      relays: true,
      canKeep: false,
    },
    modules: 'flask, authlib, requests',
    packages: 'Flask and Authlib',
    required: 'GATEHOUSE_REQUIRE_PYTHON3',
    start: async (python, stage, directory) => {
      await writeFile(join(directory, 'orders.py'), stage.snippet('Authlib, with Flask', 'python'));
      return serve(python, stage, directory, 'Authlib, with Flask');
    },
  },
  {
    client: {
      name: 'FastAPI',
      unavailable: 503,
      withoutScope: [403],
      names: 'sub',
      relays: true,
      canKeep: false,
    },
    modules: 'fastapi, httpx, uvicorn',
    packages: 'FastAPI, httpx and uvicorn',
    required: 'GATEHOUSE_REQUIRE_PYTHON3',
    start: async (python, stage, directory) => {
      await writeFile(join(directory, 'orders.py'), stage.snippet('FastAPI', 'python'));
      return serve(python, stage, directory, 'FastAPI');
    },
  },
  {
    client: {
      name: 'django-oauth-toolkit',
      unavailable: 403,
      withoutScope: [403],
      names: 'username',
      relays: false,
      canKeep: true,
      waitsForEver: true,
      refusal: 403,
      followsRedirects: true,
      otherwise: { 'sends it elsewhere': 200, 'answers with other JSON': 500 },
    },
    modules: 'oauth2_provider',
    packages: 'django-oauth-toolkit',
    start: async (python, stage, directory, isKeeping) => {
      const settings = stage.snippet('django-oauth-toolkit', 'python');
      const kept = replaceOnce(settings, '    "OAUTH2_VALIDATOR_CLASS": "gatehouse.AskEveryTime",\n', '');
      await writeFile(join(directory, 'settings.py'), `${DJANGO_SETTINGS}\n${isKeeping ? kept : settings}`);
      await writeFile(join(directory, 'gatehouse.py'), stage.snippet('django-oauth-toolkit', 'python', 1));
      await writeFile(join(directory, 'urls.py'), stage.snippet('django-oauth-toolkit', 'python', 2));
      const environment = { DJANGO_SETTINGS_MODULE: 'settings', PYTHONPATH: directory, DIRECTORY: directory };
      const migrated = spawnSync(python, ['-m', 'django', 'migrate'], {
        cwd: directory,
        env: { PATH, HOME: directory, CLIENT_SECRET: 'none', ...environment },
      });
      if (migrated.status !== 0) throw new Error(`django migrate: ${migrated.stderr.toString()}`);
      return serve(python, stage, directory, 'django-oauth-toolkit', { more: ['--noreload'], environment });
    },
  },
];

const DJANGO_SETTINGS = `import os
SECRET_KEY = "of no use"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DIRECTORY"] + "/db"}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
`;

for (const { client, modules, packages, required, start } of PROGRAMS) {
  const python = findPython(modules);
  const needs = {
    name: client.name,
    needs: `Python with ${packages}`,
    ...(required !== undefined && { required }),
  };
  describeWhere(python !== undefined, needs, () =>
    checkClient({ ...client, start: (...rest) => start(python ?? 'python3', ...rest) }),
  );
}
