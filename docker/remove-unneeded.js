// Removes what production does not need although npm installs it, or was given it. These are packages that a production
// package names as an optional peer and that we have for development: Prisma's command line, the TypeScript compiler and
// their dependencies, more than half of all bytes. And those of packages/ to which npm has made no link. The lock file tells.
import { existsSync, readFileSync, rmSync } from 'node:fs';

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const paths = Object.keys(packages);
const optional = paths.filter((path) => packages[path].devOptional === true);
const unlinked = paths.filter((path) => packages[path].link === true && !existsSync(path));
const unused = unlinked.map((path) => packages[path].resolved);
for (const path of [...optional, ...unused, 'node_modules/.bin'])
  rmSync(path, { recursive: true, force: true });
