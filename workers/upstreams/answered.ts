// The answer of a cloud that speaks Anthropic's protocol: its bytes as they came, without the
// headers that describe the cloud; a refusal in Anthropic's envelope.

import { answeredHeaders } from './headers';
import { translateRefusal } from './refusals';
import { forgetToken } from './tokens';
import type { UpstreamCall } from './upstream';

/** `response` for the client; a token that was refused is not used again. */
export function answered(response: Response, call: UpstreamCall): Response | Promise<Response> {
  if (response.status === 401) forgetToken(call);
  if (!response.ok) return translateRefusal(response);
  const { status, headers } = response;
  return new Response(response.body, { status, headers: answeredHeaders(headers) });
}
