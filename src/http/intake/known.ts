/** The URL that a request asks for, whether or not it takes the method. */
import type { FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyRequest {
    /** The URL that was asked, where it takes other methods than this one. */
    known: KnownUrl | undefined;
  }
}

export interface KnownUrl {
  /** As routes write it. */
  url: string;
  /** What the header of that name says (RFC 9110 section 10.2.1), once somebody was told. */
  allow?: string;
  /** How its routes explain failures. */
  errors: 'oauth' | undefined;
}

/** As routes write it; undefined for a URL that is not known. */
export function urlOf({ known, routeOptions }: FastifyRequest): string | undefined {
  return known?.url ?? routeOptions.url;
}
