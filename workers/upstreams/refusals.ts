// What clouds answer when they refuse, in Anthropic's envelope. Their words can name accounts,
// projects and roles, so they are kept for the log and replaced; what judges the request itself is
// kept, because clients recover by its wording (reference: gateway contract §3). What a refusal
// means for the account is not decided here.

import { fieldOf, jsonOf } from '../domain/json';
import { answeredHeaders } from './headers';
import { textWithin } from './body-text';

/** A refusal as Anthropic would say it. */
export interface Refused {
  readonly status: number;
  readonly type: string;
  readonly message: string;
}

const BODY_BYTES_MAX = 64 * 1024;
const MESSAGE_CHARACTERS_MAX = 2_000;

/** What clients know to answer with a shorter prompt. */
const TOO_LONG = 'Input is too long.';
const SIZE =
  /^(?:prompt|input|request)[\w ]* too (?:long|large)|input tokens? exceed|too many input tokens/i;
/** A way out through another place is looked for by these words. */
const WRONG_PLACE = 'User location is not supported';

/** Names of accounts, roles, projects, people and hosts, and numbers that could be one. */
const TELLING =
  /arn:|projects\/|\b\d{10,}\b|@|https?:(?!\/\/(?:docs|platform)\.)|[0-9a-f]{8}-[0-9a-f]{4}-/i;
/** The same where Anthropic itself writes. */
const TELLING_OF_AWS = /arn:|\b\d{12}\b/;
/** The client's own, in an error's body. */
const REQUEST_ID = /"request_?id"\s*:\s*"[^"]*"/gi;
/** Anthropic's own check of a request: the path of a field, or the one about betas. */
const OF_THE_REQUEST = /^(?:[a-z_]+(?:\.[\w-]+)*: |invalid beta flag|input length and)/;
/** AWS's credentials that are none: 400 and 403 there, 401 everywhere else. */
const BAD_CREDENTIAL =
  /^(?:UnrecognizedClient|InvalidSignature|SignatureDoesNotMatch|ExpiredToken|IncompleteSignature|MissingAuthenticationToken|InvalidClientTokenId)/;
const BAD_KEY = /^(?:Authentication failed|Bearer Token has expired|Invalid API Key)/i;
/** What AWS calls a wrong request is a model that this account has not. */
const NO_MODEL =
  /model identifier is invalid|on-demand throughput isn.t supported|end of its life/i;

/** AWS's exceptions whose status says less than their name (Bedrock API reference: errors). */
const STATUS_OF_EXCEPTION: Readonly<Record<string, number>> = {
  accessdeniedexception: 403,
  internalserverexception: 500,
  modelerrorexception: 500,
  modelnotreadyexception: 503,
  modelstreamerrorexception: 500,
  modeltimeoutexception: 504,
  resourcenotfoundexception: 404,
  servicequotaexceededexception: 429,
  serviceunavailableexception: 503,
  throttlingexception: 429,
  validationexception: 400,
};

const TYPES: Readonly<Record<number, readonly [type: string, message: string]>> = {
  400: ['invalid_request_error', 'The upstream refused the request as not valid.'],
  401: ['authentication_error', 'The upstream refused the credential of its account.'],
  402: ['billing_error', 'The upstream refused its account for a reason of billing.'],
  403: ['permission_error', 'The upstream does not allow this to its account.'],
  404: ['not_found_error', 'The upstream does not have this model for its account.'],
  408: ['timeout_error', 'The upstream took too long.'],
  413: ['request_too_large', TOO_LONG],
  429: ['rate_limit_error', 'The upstream limits its account for now.'],
  500: ['api_error', 'The upstream failed.'],
  503: ['api_error', 'The upstream is not available for now.'],
  504: ['timeout_error', 'The upstream took too long.'],
  529: ['overloaded_error', 'Overloaded'],
};

/** The words as they came, for the log and for admins, by the answer that replaced them. */
const originals = new WeakMap<Response, string>();

/** What a cloud said in place of which `answer` stands; null: it is as it came. */
export function originalOf(answer: Response): string | null {
  return originals.get(answer) ?? null;
}

/** A cloud's answer that is no success, as Anthropic would give it; redirects as they came. */
export async function translateRefusal(response: Response): Promise<Response> {
  if (response.status < 400) return response;
  const text = await textWithin(response, BODY_BYTES_MAX).catch(() => '');
  const exception = response.headers.get('x-amzn-errortype') ?? '';
  return refusalAnswer(readRefusal(response.status, { text, exception }), response, text);
}

/** The same of a host whose refusals are Anthropic's own, and somebody else's in front of it. */
export async function translateUnlessAnthropics(response: Response): Promise<Response> {
  if (response.status < 400) return response;
  const text = await textWithin(response, BODY_BYTES_MAX).catch(() => '');
  const { status, headers } = response;
  if (wordsOf(text).isAnthropics && !TELLING_OF_AWS.test(text)) {
    return new Response(text, { status, headers });
  }
  const exception = headers.get('x-amzn-errortype') ?? '';
  return refusalAnswer(readRefusal(status, { text, exception }), response, text);
}

/** `refused` as an answer in place of `upstream`, whose words were `original`. */
export function refusalAnswer(refused: Refused, upstream: Response, original: string): Response {
  const headers = answeredHeaders(upstream.headers);
  headers.set('content-type', 'application/json');
  headers.delete('content-encoding');
  const { type, message, status } = refused;
  const body = JSON.stringify({ type: 'error', error: { type, message } });
  const answer = new Response(body, { status, headers });
  originals.set(answer, original);
  return answer;
}

/** A refusal from its status, its text and, of AWS, the name of its exception. */
export function readRefusal(
  status: number,
  { text, exception }: { readonly text: string; readonly exception: string },
): Refused {
  const said = wordsOf(text);
  const name = exceptionName(exception || said.exception);
  const isBad = BAD_CREDENTIAL.test(name) || BAD_KEY.test(said.message);
  if (status < 500 && isBad) return refusedWith(401);
  const meant = STATUS_OF_EXCEPTION[name.toLowerCase()] ?? status;
  if (meant === 400 && NO_MODEL.test(said.message)) return refusedWith(404);
  if (said.message.includes(WRONG_PLACE)) return { ...refusedWith(meant), message: WRONG_PLACE };
  if (meant === 413 || (meant === 400 && SIZE.test(said.message))) {
    return { ...refusedWith(meant), message: TOO_LONG };
  }
  const isKept = meant === 400 && (said.isAnthropics || OF_THE_REQUEST.test(said.message));
  if (!isKept || TELLING.test(said.message)) return refusedWith(meant);
  return { ...refusedWith(meant), message: said.message.slice(0, MESSAGE_CHARACTERS_MAX) };
}

/** Of `ThrottlingException:http://…` and `com.amazon.coral#ThrottlingException`. */
function exceptionName(text: string): string {
  return text.split(':')[0]?.split('#').at(-1) ?? '';
}

/** Whether `text` may name an account: its organization, role, project or number. */
export function isTelling(text: string): boolean {
  const words = text.replaceAll(REQUEST_ID, '');
  return /arn:|projects\/|\b\d{12}\b|[0-9a-f]{8}-[0-9a-f]{4}-/i.test(words);
}

/** A refusal with `status` in words that tell of nobody. */
export function refusedWith(status: number): Refused {
  const known = TYPES[status] ?? TYPES[status < 500 ? 400 : 500];
  const [type = '', message = ''] = known ?? [];
  return { status, type, message };
}

interface Words {
  readonly message: string;
  /** In Anthropic's envelope. */
  readonly isAnthropics: boolean;
  readonly exception: string;
}

const NO_WORDS: Words = { message: '', isAnthropics: false, exception: '' };
/** Bedrock's wrapping of what the model's own check says. */
const WRAPPING = 'The model returned the following errors: ';

function wordsOf(text: string): Words {
  const json = jsonOf(text);
  const error = fieldOf(json, 'error');
  const isAnthropics =
    fieldOf(json, 'type') === 'error' && typeof fieldOf(error, 'type') === 'string';
  const own = fieldOf(error, 'message') ?? fieldOf(json, 'message') ?? fieldOf(json, 'Message');
  if (typeof own !== 'string') return NO_WORDS;
  const message = own.startsWith(WRAPPING) ? own.slice(WRAPPING.length) : own;
  const exception = fieldOf(json, '__type');
  return { message, isAnthropics, exception: typeof exception === 'string' ? exception : '' };
}
