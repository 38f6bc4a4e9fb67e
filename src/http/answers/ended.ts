/** What is answered where all sessions of a user have ended. */
import type { Ended } from '../../domain/sessions/endings.js';

export function tellEnded({ sessions, isMore }: Ended): { sessions_ended: number; more?: true } {
  return { sessions_ended: sessions, ...(isMore ? { more: true } : {}) };
}
