// The page of the shop that tests in a browser visit: a form, the orders, and the client for browsers.
import type { GatehouseOptions } from '@gatehouse/browser';

/** As its frontend developer wrote it, who knows `fetch` and nothing about tokens. */
export function pageOf(options: GatehouseOptions): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Orders</title><link rel="icon" href="data:,"></head>
<body>
<form>
  <label>Name <input name="username" autocomplete="username"></label>
  <label>Password <input name="password" type="password" autocomplete="current-password"></label>
  <button>Sign in</button>
</form>
<button id="out">Sign out</button>
<main>not asked</main>
<a href="/elsewhere">Elsewhere</a>
<script type="module">
  import { createGatehouse } from '/gatehouse.js';
  const gatehouse = createGatehouse(${JSON.stringify(options)});
  const main = document.querySelector('main');
  const changes = [];

  async function show() {
    try {
      const response = await gatehouse.fetch('/api/orders');
      if (response.ok) main.textContent = await response.text();
      else main.textContent = response.status === 401 ? 'nobody' : 'try later';
    } catch {
      main.textContent = 'offline';
    }
  }

  gatehouse.onChange(({ type, why }) => {
    changes.push(type + '/' + why);
    if (type === 'signed-in') void show();
    if (type === 'signed-out') main.textContent = 'nobody';
  });
  document.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    const credentials = Object.fromEntries(new FormData(event.target));
    gatehouse.login(credentials).catch((error) => (main.textContent = error.code));
  });
  document.querySelector('#out').addEventListener('click', () => {
    gatehouse.logout().catch((error) => (main.textContent = error.code));
  });
  if (await gatehouse.session().catch(() => null)) await show();
  Object.assign(globalThis, { gatehouse, changes, show });
</script>
</body>
</html>`;
}
