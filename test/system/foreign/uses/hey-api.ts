// What a program can write with the client of @hey-api/openapi-ts.
import { introspectToken, logIn, refreshTokens, type RefreshTokensErrors } from '../made/hey-api/index.js';

export async function refreshTokenOf(username: string, password: string): Promise<string | null> {
  const { data } = await logIn({ body: { username, password }, throwOnError: true });
  return 'access_token' in data ? data.refresh_token : null;
}

export async function userOf(token: string): Promise<string | null> {
  const body = { token, client_id: 'shop', client_secret: 'secret' };
  const { data } = await introspectToken({ body, throwOnError: true });
  return data.active ? data.sub : null;
}

export function explain(problem: RefreshTokensErrors[401]): string {
  switch (problem.error) {
    case 'invalid_token':
    case 'refresh_reused':
      return 'Log in again.';
    case 'refresh_superseded':
      return 'Use the newer one.';
  }
}

export const refresh = (token: string) => refreshTokens({ body: { refresh_token: token } });
