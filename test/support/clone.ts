// A fresh clone of the repository as far as the build looks at it, with packages that only pass for what they are named after.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

export interface Package {
  engines: { node: string };
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
}

export interface Clone {
  root: string;
  described: Package;
  write: (path: string, content: string) => Promise<void>;
  /** Installs packages that are there and cannot be loaded, as one with a native part that does not find it. */
  install: (...names: string[]) => Promise<void>;
  run: (script: string, ...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;
  remove: () => Promise<void>;
}

export async function readPackage(): Promise<Package> {
  return JSON.parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8')) as Package;
}

export async function createClone(): Promise<Clone> {
  const root = await mkdtemp(join(tmpdir(), 'gatehouse-clone-'));
  for (const name of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'scripts',
    'bin',
    'packages',
    'prisma/schema.prisma',
  ]) {
    await cp(join(REPOSITORY, name), join(root, name), {
      recursive: true,
      filter: (path) => !/[\\/](?:dist|node_modules)$/.test(path),
    });
  }
  await mkdir(join(root, 'src'));
  const write = async (path: string, content: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  };
  return {
    root,
    described: await readPackage(),
    write,
    install: async (...names) => {
      for (const name of names) {
        await write(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
        await write(`node_modules/${name}/index.js`, 'throw new Error("Cannot find native binding.")');
      }
    },
    run: async (script, ...args) => {
      const child = spawn(process.execPath, [join(root, script), ...args], {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [stdout, stderr, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close') as Promise<[number]>,
      ]);
      return { code, stdout, stderr };
    },
    remove: () => rm(root, { recursive: true }),
  };
}
