// What a server does that renders a page with @gatehouse/browser in it. Prints what it was told; then nothing is left to do.
import { createGatehouse } from '@gatehouse/browser';

const read = [];
Object.defineProperty(globalThis, 'localStorage', {
  configurable: true,
  value: { getItem: (name) => void read.push(name), setItem: (name) => void read.push(name) },
});

const refusalOf = ({ code, message }) => ({ code, message });
const byCookie = createGatehouse({ transport: 'cookie' });
const atPath = createGatehouse({ url: '/auth', transport: 'cookie' });
const byBearer = createGatehouse({ url: 'https://gatehouse.test' });
byBearer.onChange(() => {});

const result = {
  cookie: await byCookie.session().catch(refusalOf),
  path: await atPath.session().catch(refusalOf),
  signedIn: await byBearer.session(),
  read,
};
process.stdout.write(JSON.stringify(result));
