// Removes what npm installs although production does not need it: packages that a production package names as an
// optional peer and that we have for development. These are Prisma's command line, the TypeScript compiler and their
// dependencies, more than half of all bytes. The lock file marks them.
import { readFileSync, rmSync } from 'node:fs';

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const optional = Object.keys(packages).filter((path) => packages[path].devOptional === true);
for (const path of [...optional, 'node_modules/.bin']) rmSync(path, { recursive: true, force: true });
