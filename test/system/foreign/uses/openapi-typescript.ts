// What a program can write with the types of openapi-typescript.
import type { components, operations } from '../made/openapi-typescript.js';

type Schemas = components['schemas'];

export const login: Schemas['LoginInput'] = { username: 'ada', password: 'secret' };
export const question: Schemas['TokenFormInput'] = { token: 'a.b.c', client_id: 'shop', client_secret: 's' };

type LoggedIn = operations['logIn']['responses'][200]['content']['application/json'];
type Refused = operations['refreshTokens']['responses'][401]['content']['application/problem+json'];

/** Tokens in the body are told from tokens in cookies. */
export const refreshTokenOf = (answer: LoggedIn): string | null =>
  'access_token' in answer ? answer.refresh_token : null;

/** Every code that this status has, and no other: TypeScript sees that none is missing. */
export function explain(problem: Refused): string {
  switch (problem.error) {
    case 'invalid_token':
    case 'refresh_reused':
      return 'Log in again.';
    case 'refresh_superseded':
      return 'Use the newer one.';
  }
}

export const userOf = (answer: Schemas['Introspection']): string | null =>
  answer.active ? answer.sub : null;
