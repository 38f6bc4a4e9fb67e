/** What every answer tells browsers, errors before there is a route included. */

/**
 * One constant set, since every token check pays for it: half of what a plugin asks that derives it per request. Left
 * out is what says nothing about JSON, or to no browser of today: X-XSS-Protection, X-Download-Options,
 * X-Permitted-Cross-Domain-Policies, X-DNS-Prefetch-Control, Origin-Agent-Cluster, and X-Frame-Options, which
 * `frame-ancestors` replaces.
 */
const SECURITY_HEADERS = {
  // Nothing of ours is a page, but for /docs, which brings a policy of its own.
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  // A page elsewhere may not embed an answer. Calls with CORS, which allowed origins make, are not its concern: browsers
  // look at it for no-cors requests alone.
  'cross-origin-resource-policy': 'same-origin',
  // Nor may a page elsewhere hold on to the window that it opened on /docs.
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

/** The same, and behind TLS alone (RFC 6797 section 7.2) the wish to be called that way for a year. */
export function securityHeaders(issuer: string): Record<string, string> {
  if (!issuer.startsWith('https:')) return SECURITY_HEADERS;
  return { ...SECURITY_HEADERS, 'strict-transport-security': 'max-age=31536000; includeSubDomains' };
}
