// What a program can write with the client of oazapfts.
import { introspectToken, logIn, refreshTokens } from '../made/oazapfts.js';

export async function refreshTokenOf(username: string, password: string): Promise<string | null> {
  const answer = await logIn({ username, password });
  if (answer.status !== 200) throw new Error(answer.data.error);
  return 'access_token' in answer.data ? answer.data.refresh_token : null;
}

export async function userOf(token: string): Promise<string | null> {
  const answer = await introspectToken({ token, client_id: 'shop', client_secret: 'secret' });
  if (answer.status !== 200) throw new Error(answer.data.error_description);
  // oazapfts has no type for `true` alone.
  return 'sub' in answer.data ? answer.data.sub : null;
}

export async function refresh(token: string): Promise<'refreshed' | 'over' | 'superseded' | 'unknown'> {
  const answer = await refreshTokens({ refresh_token: token });
  if (answer.status === 200) return 'refreshed';
  if (answer.status !== 401) return 'unknown';
  switch (answer.data.error) {
    case 'invalid_token':
    case 'refresh_reused':
      return 'over';
    case 'refresh_superseded':
      return 'superseded';
  }
}
