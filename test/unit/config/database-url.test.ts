// Which texts are a DATABASE_URL that reads in one way only, and what is said of the others.
import { describe, expect, it } from 'vitest';

import { describeDatabase, findDoubt } from '../../../src/database/database-url.js';

const ENCODE = /write % as %25, @ as %40, \/ as %2F, \? as %3F and # as %23, or .*DATABASE_PASSWORD_FILE/;

describe('takes', () => {
  it.each([
    'postgresql://gatehouse@db.example.com:5432/gatehouse',
    'postgres://u:p@h/d',
    'POSTGRESQL://u:p@h/d',
    'postgresql://u:p%40w%2Fo%23r%3Fd%25@[::1]:5433/d?sslmode=require',
    'postgresql://u:p@[fe80::1]/d',
    'postgresql://u@192.0.2.1/d',
    'postgresql://u@my_host-1.internal./d',
    'postgresql://u@müller.example/d',
    // RFC 3986 lets a colon and these stand in a password, and every parser cuts at the first colon.
    'postgresql://u:a:b::c@h/d',
    "postgresql://u:!$&'()*+,;=~-._@h/d",
    'postgresql://u:ä[]{}|^`"<>\\@h/d',
    'postgresql://u:@h/d',
    'postgresql://h/d',
    'postgresql:///gatehouse?host=/var/run/postgresql',
    'postgresql://u:p@%2Fvar%2Frun%2Fpostgresql/d',
    'postgresql://u@h/my-db_2.test',
    'postgresql://u@h/d%C3%A4',
    'postgresql://u@h/d?options=-c%20search_path%3Dx&a=/b?c',
  ])('%s', (url) => {
    expect(findDoubt(url)).toBeUndefined();
  });
});

describe('refuses', () => {
  it.each([
    ['a / in the password', 'postgresql://gatehouse:4711/Geheim-Wort@db.invalid/auth'],
    ['a / first', 'postgresql://u:/p@h/d'],
    ['a / last', 'postgresql://u:p/@h/d'],
    ['a # in the password', 'postgresql://u:4711#word@h/d'],
    ['a ? in the password', 'postgresql://u:4711/x?word@h/d'],
    ['an @ in the password', 'postgresql://u:pass@word@h/d'],
    ['an @ and a / in the password', 'postgresql://u:pass@word/more@h/d'],
    ['an @ in the user', 'postgresql://u@server:p@h/d'],
    ['an @ in the name', 'postgresql://u:p@h/d@e'],
    ['an @ in the query', 'postgresql://u:p@h/d?user=u@server'],
    ['an @ in a fragment', 'postgresql://u:p/d#@h'],
    ['an @ in the path of a URL without a user', 'postgresql://h/d@e'],
  ])('%s: %s', (_what, url) => {
    expect(findDoubt(url)).toMatch(/^holds an @ that does not stand between user and host: /);
    expect(findDoubt(url)).toMatch(ENCODE);
  });

  it.each([
    ['a fragment', 'postgresql://u:p@h/d#word', /^holds a #: /],
    ['an empty fragment', 'postgresql://u:p@h/d#', /^holds a #: /],
    ['a name with a /', 'postgresql://u:p@h/d/e', /^holds a \/ in the name of the database: /],
    ['two slashes before the name', 'postgresql://u:p@h//d', /^holds a \/ in the name/],
    ['a % alone', 'postgresql://u:100%@h/d', /^holds a % that begins no percent-encoded character: /],
    ['a % before other letters', 'postgresql://u:%zz@h/d', /^holds a %/],
    ['a percent-encoded byte that is no UTF-8', 'postgresql://u:%ff@h/d', /^holds a %/],
    ['half of a percent-encoded character', 'postgresql://u:%C3x@h/d', /^holds a %/],
    ['a percent-encoded NUL', 'postgresql://u:a%00b@h/d', /^holds a %/],
    ['several hosts', 'postgresql://u:p@h1,h2/d', /^holds a character that no host has/],
    ['a host with odd characters', 'postgresql://u:p@ho$st/d', /^holds a character that no host has/],
    ['a percent-encoded host', 'postgresql://u:p@h%40i/d', /^holds a character that no host has/],
  ])('%s: %s', (_what, url, reason) => {
    expect(findDoubt(url)).toMatch(reason);
    expect(findDoubt(url)).toMatch(ENCODE);
  });

  it.each([
    ...[
      '\u200B',
      '\uFEFF',
      '\u00A0',
      '\u00AD',
      '\u2060',
      '\u200E',
      '\u202E',
      '\u3164',
      '\u2800',
      '\u{E0041}',
    ],
    ...[' ', '\t', '\r', '\n', '\0', '\u2028', '\u3000'],
  ])('an unseen character anywhere: %j', (character) => {
    const url = 'postgresql://u:p@h/d';
    for (let at = 0; at <= url.length; at += 1)
      expect(findDoubt(url.slice(0, at) + character + url.slice(at))).toBe(
        'holds white space or an invisible character: take it away, or percent-encode it',
      );
  });

  it.each([
    '',
    'localhost',
    'mysql://u@h/d',
    'postgresql:u:p@h/d',
    'postgresql:/u:p@h/d',
    'postgresql+asyncpg://u:p@h/d',
    'postgresql://u@h',
    'postgresql://u@h/',
    'postgresql://u@h?sslmode=require',
    'postgresql://u:p@/d',
    'postgresql://u@h:99999/d',
    'postgresql://u@[::1/d',
    'jdbc:postgresql://h/d',
  ])('what is none at all: %j', (url) => {
    expect(findDoubt(url)).toMatch(
      /^(must be a URL such as postgresql:\/\/user@host|holds a character that)/,
    );
  });
});

describe('is called in messages', () => {
  it.each([
    ['postgresql://u:p@h/d', 'The database d at h:5432'],
    ['postgresql://u@[::1]:5433/d%C3%A4', 'The database dä at [::1]:5433'],
    ['postgresql://u@%2Frun/d', 'The database d at /run:5432'],
  ])('%s by its name, its host and its port: %s', (url, name) => {
    expect(describeDatabase(url)).toBe(name);
  });

  it.each([
    ['which has no user: its host may be one, and its name a password', 'postgresql://gatehouse:4711/Geheim'],
    ['whose query names another host', 'postgresql://u@h/d?host=/run'],
    ['whose query names another port', 'postgresql://u@h/d?port=1'],
    ['that reads doubtfully', 'postgresql://gatehouse:4711/Geheim-Wort@db.invalid/auth'],
    ['that is none', 'Geheim-Wort'],
  ])('one %s by the name of the variable: %s', (_why, url) => {
    expect(describeDatabase(url)).toBe('The database in DATABASE_URL');
  });
});
