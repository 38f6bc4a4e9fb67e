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
    'postgresql://u@h/d?options=-c%20work_mem%3D8MB&application_name=/b?c',
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

describe('a parameter is honoured', () => {
  it.each([
    ...['disable', 'require', 'verify-full'].map((mode) => `sslmode=${mode}`),
    'sslmode=verify-ca&sslrootcert=/ca.pem',
    'sslrootcert=system',
    'sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/a.pem&sslkey=/a.key',
    'sslmode=require&ssl_min_protocol_version=TLSv1.3&sslnegotiation=direct&sslsni=1&sslcompression=0',
    'uselibpqcompat=true&sslmode=require',
    'channel_binding=prefer&gssencmode=prefer',
    'target_session_attrs=read-write',
    'target_session_attrs=primary',
    'application_name=a&fallback_application_name=b&client_encoding=UTF8&keepalives=1',
    'options=endpoint%3Dep-cool-name',
    'options=-c%20geqo%3Doff%20--work-mem%3D8MB',
    'host=/run&port=5433&user=u&password=p',
    'schema=public&pgbouncer=false',
  ])('%s', (query) => {
    expect(findDoubt(`postgresql://u@h/d?${query}`)).toBeUndefined();
  });
});

describe('a parameter is refused by its name, and what to do is said', () => {
  it.each([
    ['sslmode=prefer', /write disable, require, verify-ca or verify-full .*anybody in between/],
    ['sslmode=allow', /anybody in between/],
    ['sslmode=no-verify', /write require/],
    ['sslmode=', /write disable, require/],
    ['sslmode=Require', /write disable, require/],
    ['sslmode=verify-ca', /needs a file in sslrootcert/],
    ['ssl=true', /write sslmode in its place/],
    ['ssl=0', /write sslmode in its place/],
    ['sslrootcert=/ca.pem', /encrypts nothing: write sslmode=verify-full/],
    ['sslmode=disable&sslcert=/a&sslkey=/b', /encrypts nothing/],
    ['sslnegotiation=direct', /encrypts nothing/],
    ['sslmode=require&sslcert=/a', /sslcert and sslkey: write both/],
    ['sslmode=require&sslrootcert=system', /another sslmode than verify-full/],
    ['sslmode=require&uselibpqcompat=false', /sslmode means what it means for libpq/],
    ['channel_binding=require', /take it away, and write sslmode=verify-full/],
    ['gssencmode=require', /signs in with a password or with sslcert/],
    ['target_session_attrs=standby', /works on the primary alone/],
    ['target_session_attrs=any', /works on the primary alone/],
    ['host=a,b', /name one host/],
    ['port=1,2', /name one host/],
    ['hostaddr=192.0.2.1', /as the host/],
    ['dbname=x', /after the host/],
    ['connect_timeout=10', /waits for a connection 5 s/],
    ['statement_timeout=1', /sets its own/],
    ['client_encoding=LATIN1', /speaks UTF8/],
    ['options=-c%20search_path%3Dx', /take search_path away/],
    ['options=-csearch_path%3Dx', /take search_path away/],
    ['options=--TimeZone%3Dx', /take timezone away/],
    ['options=--statement-timeout%3D1', /take statement_timeout away/],
    ['service=x', /into the URL/],
    ['passfile=/x', /DATABASE_PASSWORD_FILE/],
    ['sslpassword=x', /without a passphrase/],
    ['replication=database', /take it away/],
    ['require_auth=none', /take it away/],
    ['schema=auth', /are in the schema public/],
    ['pgbouncer=true', /connections of its own/],
    ['connection_limit=5', /at most 16 connections/],
    ['pool_timeout=5', /at most 16 connections/],
    ['sslaccept=strict', /verify-full for strict, require for accept_invalid_certs/],
    ['sslidentity=/x.p12', /sslcert and sslkey/],
    ['sslmode=require&sslmode=disable', /sslmode twice/],
  ])('%s', (query, words) => {
    const doubt = findDoubt(`postgresql://u@h/d?${query}`);
    expect(doubt).toMatch(words);
    expect(doubt).toMatch(/^holds (?:the|one of the) parameters? \w/);
    for (const [name, value] of new URLSearchParams(query))
      if (value.length > 8 && !name.startsWith('ssl')) expect(doubt).not.toContain(value);
  });

  // As PQconndefaults of libpq 18 lists them.
  it.each(
    [
      'service user password passfile channel_binding connect_timeout dbname host hostaddr port client_encoding options',
      'application_name fallback_application_name keepalives keepalives_idle keepalives_interval keepalives_count',
      'tcp_user_timeout sslmode sslnegotiation sslcompression sslcert sslkey sslcertmode sslpassword sslrootcert sslcrl',
      'sslcrldir sslsni requirepeer require_auth min_protocol_version max_protocol_version ssl_min_protocol_version',
      'ssl_max_protocol_version gssencmode krbsrvname gsslib gssdelegation replication target_session_attrs',
      'load_balance_hosts scram_client_key scram_server_key oauth_issuer oauth_client_id oauth_client_secret oauth_scope',
      'sslkeylogfile',
    ].flatMap((names) => names.split(' ')),
  )('each one of libpq, if it is not honoured: %s', (name) => {
    expect(findDoubt(`postgresql://u@h/d?${name}=`) ?? name).toContain(name);
  });

  it.each(['Geheim-Wort=1', 'Geheim-Wort', 'SSLMODE=require', 'constructor=1', '__proto__=1', 'max=1'])(
    'but one that nobody knows, which may be a piece of a password, by its place: %s',
    (query) => {
      expect(findDoubt(`postgresql://u@h/d?sslmode=disable&${query}`)).toBe(
        'holds a parameter that Gatehouse does not know: take away number 2 after the question mark',
      );
    },
  );
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
