// A real browser for tests of pages: the Chromium of this machine, without what it would ask the Internet for.
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type LaunchOptions, type Page } from 'playwright-core';
import { describe } from 'vitest';

const { GATEHOUSE_CHROMIUM, GATEHOUSE_REQUIRE_BROWSER, PATH = '' } = process.env;

/** The one that is named, or the first of those that Linux distributions install. */
const CANDIDATES =
  GATEHOUSE_CHROMIUM === undefined || GATEHOUSE_CHROMIUM === ''
    ? ['/usr/bin/chromium', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
    : [GATEHOUSE_CHROMIUM];

const NOT_FOUND = `no browser found (looked for ${CANDIDATES.join(', ')}): install Chromium, or set GATEHOUSE_CHROMIUM`;

/** Chromium calls home at every start, which tests neither need nor wait for. */
const QUIET = ['--disable-quic', '--no-first-run', '--disable-component-update', '--disable-sync'];

/** Nobody looks at these pages; and tabs share processes here, as they do where memory is short. */
const FRUGAL = ['--disable-gpu', '--renderer-process-limit=3'];

/**
 * Each window would load two pages of the browser's own below its address bar, in a process of their own, and have one more process
 * in reserve: together they took more than half of the CPU time of a short test. No page can tell the difference.
 */
const UNSEEN = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup', 'SpareRendererForSitePerProcess'];

/** Threads of the browser's process do what two processes more would do for it: the network, and the pictures without a GPU. */
const IN_PROCESS = { switches: ['--in-process-gpu'], features: ['NetworkServiceInProcess2'] };

/** By the options that they were started with, for all files that this process runs. Playwright ends them with it. */
const browsers = new Map<string, Promise<Browser>>();

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Path of a Chromium, or null. */
export function findBrowser(): string | null {
  const places = PATH.split(delimiter).filter((place) => place !== '');
  const paths = CANDIDATES.flatMap((name) =>
    isAbsolute(name) ? [name] : places.map((place) => join(place, name)),
  );
  return paths.find(isExecutable) ?? null;
}

/** The browser with these options, which the tests of all files share: close your contexts in `afterAll`, and not the browser. */
export async function openBrowser(options: LaunchOptions = {}): Promise<Browser> {
  const key = JSON.stringify(options);
  const browser = browsers.get(key) ?? launch(options);
  browsers.set(key, browser);
  return await browser;
}

/** Files of one process run one after the other: what is open belongs to the one that asks. */
export async function closeContexts(browser: Browser): Promise<void> {
  await Promise.all(browser.contexts().map((context) => context.close()));
}

async function launch(options: LaunchOptions): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === null) throw new Error(NOT_FOUND);
  const { disabled, enabled } = await listFeatures();
  const features = [
    `--disable-features=${[...disabled, ...UNSEEN].join(',')}`,
    `--enable-features=${[...enabled, ...IN_PROCESS.features].join(',')}`,
  ];
  const args = [...QUIET, ...FRUGAL, ...IN_PROCESS.switches, ...features, ...(options.args ?? [])];
  return await chromium.launch({ executablePath, ...options, args });
}

/**
 * The features that Playwright disables and enables. Chromium goes by the last lists that it is given, so ours repeat them; Playwright
 * tells them only in the log of a launch, such as that of a program that does not know its options.
 */
async function listFeatures(): Promise<{ disabled: string[]; enabled: string[] }> {
  const log = await chromium.launch({ executablePath: process.execPath }).then(String, String);
  const listed = (option: string) => {
    const [, list] = new RegExp(` --${option}=(\\S+)`).exec(log) ?? [];
    if (list === undefined) throw new Error(`Playwright does not tell its ${option}: ${log}`);
    return list.split(',');
  };
  return { disabled: listed('disable-features'), enabled: listed('enable-features') };
}

/** The browser has no history to show in the moment in which one page takes the place of another; nothing has moved then. */
const BETWEEN_PAGES = /not attached to an active page/i;

/** Presses one of the browser's own buttons, and returns when the page that is shown begins to be another. */
export async function press(button: 'back' | 'forward', page: Page): Promise<void> {
  for (;;) {
    try {
      await page.bringToFront();
      if (button === 'back') await page.goBack({ waitUntil: 'commit' });
      else await page.goForward({ waitUntil: 'commit' });
      return;
    } catch (error) {
      if (!BETWEEN_PAGES.test(String(error))) throw error;
    }
    await sleep(100);
  }
}

/**
 * `describe` for tests that need a browser. Where none is found they are skipped, and that is said; with
 * GATEHOUSE_REQUIRE_BROWSER=1 they run, and fail where they open one.
 */
export function describeInBrowser(name: string, tests: () => void): void {
  if (findBrowser() !== null || GATEHOUSE_REQUIRE_BROWSER === '1') {
    describe(name, tests);
    return;
  }
  // The default reporter only counts what was skipped.
  console.warn(`SKIPPED: ${name}: ${NOT_FOUND}`);
  describe.skip(name, tests);
}
