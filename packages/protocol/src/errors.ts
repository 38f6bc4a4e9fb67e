/** Every way in which the service says no, as a closed set of codes that never change. What statuses they have is HTTP's matter. */
export const ERROR_CODES = [
  'invalid_request',
  'invalid_credentials',
  'invalid_token',
  'refresh_reused',
  'refresh_superseded',
  'insufficient_user_authentication',
  'invalid_client',
  'insufficient_scope',
  'csrf_rejected',
  'not_found',
  'method_not_allowed',
  'username_taken',
  'user_disabled',
  'too_many_sessions',
  'not_liftable',
  'client_id_taken',
  'too_many_secrets',
  'too_large',
  'unsupported_media_type',
  'misdirected_request',
  'headers_too_large',
  'too_many_requests',
  'server_error',
  'temporarily_unavailable',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];
