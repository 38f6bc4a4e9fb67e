// Of Envoy's example what runs without Envoy: the Lua that judges addresses and headers, under any interpreter that is at hand.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

import { spellings } from './headers.js';
import { PLAIN, QUERY, RIDDLES } from './paths.js';
import type { RawHeaders } from './stage.js';

/** Envoy has LuaJIT; what the example uses is the same in all of them. */
const INTERPRETER = ['luajit', 'lua5.1', 'lua5.4', 'lua'].find(
  (name) => spawnSync(name, ['-v']).status === 0,
);

const EXAMPLE = readFileSync(
  fileURLToPath(new URL('../../../examples/envoy/envoy.yaml', import.meta.url)),
  'utf8',
);

/** Envoy's header object as far as the example uses it; texts arrive and leave as hexadecimal digits. */
const ENVOY = `
local function read(hex) return (string.gsub(hex, "%x%x", function(two) return string.char(tonumber(two, 16)) end)) end
local function show(text) return (string.gsub(text, ".", function(one) return string.format("%02x", string.byte(one)) end)) end
local Headers = {}
Headers.__index = Headers
function Headers:get(name)
  local found = nil
  for _, line in ipairs(self.lines) do
    if line[1] == name then found = found and (found .. "," .. line[2]) or line[2] end
  end
  return found
end
function Headers:remove(name)
  for at = #self.lines, 1, -1 do
    if self.lines[at][1] == name then table.remove(self.lines, at) end
  end
end
function Headers:add(name, value) table.insert(self.lines, { name, value }) end
function Headers:replace(name, value) self:remove(name) self:add(name, value) end
local pairs_of_tables = pairs
function pairs(of)
  if getmetatable(of) ~= Headers then return pairs_of_tables(of) end
  local at = 0
  return function()
    at = at + 1
    if of.lines[at] ~= nil then return of.lines[at][1], of.lines[at][2] end
  end
end
local function ask(lines)
  local headers = setmetatable({ lines = {} }, Headers)
  for name, value in string.gmatch(lines, "(%x*):(%x*)") do headers:add(read(name), read(value)) end
  local status = ""
  envoy_on_request({
    headers = function() return headers end,
    respond = function(_, answer) status = answer[":status"] end,
  })
  local shown = {}
  for _, line in ipairs(headers.lines) do table.insert(shown, show(line[1]) .. ":" .. show(line[2])) end
  print(status .. " " .. table.concat(shown, " "))
end
`;

interface Outcome {
  /** Empty where the request goes on. */
  status: string;
  headers: [name: string, value: string][];
}

/** Runs one of the example's filters, by its name, on these requests. Names are in lower case, as Envoy has them. */
function run(filter: string, requests: RawHeaders[]): Outcome[] {
  const calls = requests.map((request) => `ask("${inHex(request)}")`);
  const input = [codeOf(filter), ENVOY, ...calls].join('\n');
  const { error, status, stdout, stderr } = spawnSync(INTERPRETER ?? 'luajit', ['-'], {
    input,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(stderr);
  return stdout.trimEnd().split('\n').map(outcomeOf);
}

/** Each line as `name:value`. */
function inHex(lines: RawHeaders): string {
  const texts = lines.map((text) => Buffer.from(text, 'latin1').toString('hex'));
  return texts.map((text, at) => text + (at % 2 === 0 ? ':' : ' ')).join('');
}

function outcomeOf(line: string): Outcome {
  const [status = '', ...lines] = line.split(' ');
  const toText = (hex = ''): string => Buffer.from(hex, 'hex').toString('latin1');
  const pairs = lines.filter((pair) => pair !== '').map((pair) => pair.split(':'));
  return { status, headers: pairs.map(([name, value]) => [toText(name), toText(value)]) };
}

/** The block below `inline_string: |` of this filter, without its indentation. */
function codeOf(filter: string): string {
  const [, block = ''] = EXAMPLE.slice(EXAMPLE.indexOf(`name: ${filter}\n`)).split('inline_string: |\n');
  const lines = block.split('\n');
  const indentation = /^ */.exec(lines[0] ?? '')?.[0] ?? '';
  const end = lines.findIndex((line) => line !== '' && !line.startsWith(indentation));
  return lines.slice(0, end === -1 ? undefined : end).join('\n');
}

function to(path: string, ...more: string[]): RawHeaders {
  const pseudo = [':method', 'GET', ':path', path, ':authority', 'app.test'];
  return [...pseudo, 'x-forwarded-for', '203.0.113.9, 198.51.100.7', 'x-forwarded-proto', 'http', ...more];
}

function suite(): void {
  it('refuses an address that can be read in more than one way', () => {
    const targets = Object.values(RIDDLES).flat();
    const outcomes = run(
      'gatehouse.no_forgery',
      targets.map((target) => to(target)),
    );
    expect(outcomes.length).toBe(targets.length);
    for (const [at, { status }] of outcomes.entries())
      expect([targets[at], status]).toEqual([targets[at], '400']);
  });

  it('lets a plain one pass, with any query', () => {
    const targets = PLAIN.flatMap((path) => [path, `${path}?`, `${path}${QUERY}`]);
    const outcomes = run(
      'gatehouse.no_forgery',
      targets.map((target) => to(target)),
    );
    expect(outcomes.map(({ status }, at) => [targets[at], status])).toEqual(
      targets.map((target) => [target, '']),
    );
  });

  it('drops what only Gatehouse and Envoy may say, with whatever between its words', () => {
    const names = [
      ...spellings(['x', 'auth'], ['subject', 'scope', 'anything']),
      ...spellings(['x', 'forwarded'], ['host', 'method', 'prefix', 'uri']),
      ...spellings(['x', 'real'], ['ip']),
      ...['forwarded', 'x-original-url', 'x-original-method', 'x-rewrite-url', 'http2-settings'].map(
        (name) => [name, 'forged'],
      ),
    ];
    const forged = names.flat().map((text) => text.toLowerCase());
    const [{ status, headers } = { status: 'none', headers: [] }] = run('gatehouse.no_forgery', [
      to('/orders', ...forged, 'accept', '*/*', 'cookie', 'basket=7'),
    ]);
    expect(status).toBe('');
    expect(Object.fromEntries(headers)).toEqual({
      ':method': 'GET',
      ':path': '/orders',
      ':authority': 'app.test',
      'x-forwarded-for': '198.51.100.7',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'app.test',
      'x-forwarded-method': 'GET',
      accept: '*/*',
      cookie: 'basket=7',
    });
  });

  it('tells POST for a handshake, and passes no token of Connection on', () => {
    const [outcome] = run('gatehouse.no_forgery', [
      to('/live', 'upgrade', 'websocket', 'connection', 'keep-alive, Upgrade, X-Auth-Subject'),
    ]);
    const headers = Object.fromEntries(outcome?.headers ?? []);
    expect(headers).toMatchObject({
      connection: 'Upgrade',
      upgrade: 'websocket',
      'x-forwarded-method': 'POST',
    });
  });

  it('refuses what nobody vouches for', () => {
    const outcomes = run('gatehouse.vouched', [
      to('/orders'),
      to('/orders', 'x-auth-subject', ''),
      to('/orders', 'x-auth-subject', 'somebody'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['502', '502', '']);
  });

  it('keeps tokens from the application, and passes other cookies on', () => {
    const ours = '__Host-gatehouse-access=ey.ey.sig';
    const outcomes = run('gatehouse.no_tokens', [
      to('/orders', 'authorization', 'Bearer ey', 'cookie', `basket=7; ${ours}; theme=dark`),
      to('/orders', 'cookie', `${ours}; ${ours.toLowerCase()}`),
    ]);
    const kept = outcomes.map(({ headers }) =>
      headers.filter(([name]) => /^(?:cookie|authorization)$/.test(name)),
    );
    expect(kept).toEqual([[['cookie', 'basket=7; theme=dark']], []]);
  });
}

if (INTERPRETER !== undefined || process.env['GATEHOUSE_REQUIRE_LUA'] === '1') describe('Envoy', suite);
else describe.skip('Envoy: skipped, since there is no Lua here', suite);
