// Log in, list and make orders, log out: all that a page does with Gatehouse. Renewal and other tabs need no code here.
import { createGatehouse, GatehouseError } from '/gatehouse/gatehouse.js';
import addresses from '/addresses.js';

const gatehouse = createGatehouse({ url: addresses.gatehouse, origins: [addresses.orders] });

const find = (id) => document.getElementById(id);

function say(text) {
  find('message').textContent = text;
}

function show(session) {
  find('login').hidden = session !== null;
  find('shop').hidden = session === null;
  find('greeting').textContent = session === null ? '' : `Hello ${session.username}`;
  if (session === null) find('orders').replaceChildren();
}

async function list() {
  const answer = await gatehouse.fetch(`${addresses.orders}/orders`);
  if (!answer.ok) return say(`The orders cannot be listed: ${(await answer.json()).detail}`);
  const { orders } = await answer.json();
  find('orders').replaceChildren(
    ...orders.map((item) => Object.assign(document.createElement('li'), { textContent: item })),
  );
}

async function order(item) {
  const answer = await gatehouse.fetch(`${addresses.orders}/orders`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ item }),
  });
  if (!answer.ok) return say(`Not ordered: ${(await answer.json()).detail}`);
  find('order').reset();
  await list();
}

async function logIn(credentials) {
  const session = await gatehouse.login(credentials);
  find('login').reset();
  show(session);
  await list();
}

/** Anything but a yes is shown: above all a logout that did not happen. */
function whenAsked(action) {
  return async (event) => {
    event.preventDefault();
    say('');
    try {
      await action(event);
    } catch (error) {
      say(error instanceof GatehouseError ? `That did not work: ${error.message}` : String(error));
    }
  };
}

find('login').addEventListener(
  'submit',
  whenAsked(({ target }) => logIn(Object.fromEntries(new FormData(target)))),
);
find('order').addEventListener(
  'submit',
  whenAsked(({ target }) => order(new FormData(target).get('item'))),
);
find('reload').addEventListener('click', whenAsked(list));
find('log-out').addEventListener(
  'click',
  whenAsked(() => gatehouse.logout()),
);
find('log-out-everywhere').addEventListener(
  'click',
  whenAsked(() => gatehouse.logoutAll()),
);

// Also when it happens in another tab.
gatehouse.onChange(({ type }) => {
  if (type === 'signed-out') show(null);
  if (type === 'signed-in') void start();
});

async function start() {
  try {
    const session = await gatehouse.session();
    show(session);
    if (session !== null) await list();
  } catch {
    say('Gatehouse cannot be reached: reload the page in a moment.');
  }
}

await start();
