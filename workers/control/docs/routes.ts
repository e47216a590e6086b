// The API's description, as it was built (scripts/openapi.mjs), and a page that shows it to people.
// Nothing is put together at run time, and the page loads nothing from elsewhere.

import { docs } from '../contract/docs';
import type { Outcome, Route } from '../visit';
import { on } from '../visit';
import { ok } from '../../domain/result';
import { sha256 } from '../../platform/digest';
import page from './page.html';

export const DOCS_ROUTES: readonly Route[] = [on(docs.schema, schema), on(docs.page, showPage)];

async function schema(): Promise<Outcome<typeof docs.schema>> {
  // Not read before somebody asks: an isolate that only relays never does.
  const { default: document } = await import('../openapi.json');
  return ok(Response.json(document));
}

async function showPage(): Promise<Outcome<typeof docs.page>> {
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': await policy(),
  };
  return ok(new Response(page, { headers }));
}

/** Of the page's own script and style, and of nothing else. */
async function policy(): Promise<string> {
  const [script, style] = await Promise.all([hashOf('script'), hashOf('style')]);
  return [
    "default-src 'none'",
    `script-src '${script}'`,
    `style-src '${style}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

async function hashOf(element: 'script' | 'style'): Promise<string> {
  const text = page.split(`<${element}>`)[1]?.split(`</${element}>`)[0] ?? '';
  const hash = await sha256(text);
  // CSP writes it in plain base64: of 32 bytes that ends with one `=`.
  return `sha256-${hash.replaceAll('-', '+').replaceAll('_', '/')}=`;
}
