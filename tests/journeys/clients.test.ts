// The official SDKs, both majors (they authenticate differently), through the relay, under both of
// its prefixes.

import Anthropic1 from '@anthropic-ai/sdk';
import Anthropic0 from 'anthropic-sdk-0';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  beginning,
  breakAfter,
  drip,
  errorBody,
  events,
  json,
  message,
  MODEL,
  stream,
  USAGE,
} from '../support/answers';
import { FakeUpstream } from '../support/fake-upstream';
import type { Own, Owner } from '../support/own-accounts';
import { ownerOfAccounts } from '../support/own-accounts';

const relay = inject('relay');
const upstream = new FakeUpstream(relay.accounts);
/** What refuses is an account of the test's own: a refusal may hold it back for everybody. */
let owner: Owner;
const owns = new Map<string, Own>();
beforeAll(async () => {
  await upstream.open();
  owner = await ownerOfAccounts();
  for (const { mark } of WAYS) {
    for (const [status] of REFUSALS) owns.set(`${mark} ${status}`, await owner.own(['only']));
    // A list is kept for some minutes: this one's nobody else has asked for.
    owns.set(`${mark} models`, await owner.own(['only'], { models: [MODEL] }));
  }
  await owner.known();
});
afterAll(async () => {
  await upstream.close();
  await owner.end();
});

const MAJORS = [
  { major: 1, Sdk: Anthropic1 },
  { major: 0, Sdk: Anthropic0 },
] as const;

interface Way {
  readonly major: 0 | 1;
  readonly prefix: '' | '/api';
  readonly mark: string;
  readonly client: Anthropic1;
}

const WAYS: readonly Way[] = MAJORS.flatMap(({ major, Sdk }) =>
  (['', '/api'] as const).map((prefix) => {
    const options = {
      apiKey: relay.keys.clients,
      authToken: null,
      baseURL: `${relay.url}${prefix}`,
      maxRetries: 0,
    };
    // The two majors' calls have one form; so far as it is used here, this one's types fit both.
    const client = new Sdk(options) as unknown as Anthropic1;
    return { major, prefix, mark: `mark-sdk${major}${prefix.replace('/', '-')}`, client };
  }),
);

const REFUSALS = [
  [400, 'invalid_request_error', 'BadRequestError'],
  [403, 'permission_error', 'PermissionDeniedError'],
  [404, 'not_found_error', 'NotFoundError'],
  [429, 'rate_limit_error', 'RateLimitError'],
  [529, 'overloaded_error', 'InternalServerError'],
] as const;

function prompt(text: string): Anthropic1.MessageCreateParamsNonStreaming {
  return { model: MODEL, max_tokens: 500, messages: [{ role: 'user', content: text }] };
}

describe.each(WAYS)('SDK $major under "$prefix/v1"', ({ major, mark, client }) => {
  test('creates a message and reads it as the upstream wrote it', async () => {
    const own = `${mark}-create`;
    upstream.on(own, json(message('Grüße aus dem Tal')));
    const answer = await client.messages.create(prompt(own));
    expect(answer).toMatchObject({
      id: 'msg_01UpstreamAnswer',
      content: [{ type: 'text', text: 'Grüße aus dem Tal' }],
      stop_reason: 'end_turn',
      usage: USAGE,
    });
    const { url, headers, account } = upstream.only(own);
    expect(url).toBe('/v1/messages');
    expect(headers['x-api-key']).toBe(relay.accounts[account].key);
    expect(headers.authorization).toBeUndefined();
    expect(headers['anthropic-version']).toBe(major === 1 ? '2026-10-21' : '2023-06-01');
    expect(headers['x-stainless-lang']).toBe('js');
  });

  test('streams a message, event by event', async () => {
    const own = `${mark}-stream`;
    upstream.on(own, events(stream('one two three'), 7));
    const texts: string[] = [];
    const running = client.messages.stream(prompt(own)).on('text', (text) => texts.push(text));
    const final = await running.finalMessage();
    expect(texts).toEqual(['one ', 'two ', 'three']);
    expect(final.usage).toMatchObject({ input_tokens: 12, output_tokens: 87 });
    expect(final.stop_reason).toBe('end_turn');
    expect(JSON.parse(upstream.only(own).body.toString())).toMatchObject({ stream: true });
  });

  test('uses the beta namespace, whose query and header go upstream', async () => {
    const own = `${mark}-beta`;
    upstream.on(own, json(message('beta')));
    const betas = ['interleaved-thinking-2025-05-14', 'made-up-2027-01-01'];
    await client.beta.messages.create({ ...prompt(own), betas });
    const { url, headers } = upstream.only(own);
    // Of the two only the older one adds the query.
    expect(url).toBe(`/v1/messages${major === 0 ? '?beta=true' : ''}`);
    expect(headers['anthropic-beta']).toBe(betas.join(','));
  });

  test('counts tokens', async () => {
    const own = `${mark}-count`;
    upstream.on(own, json({ input_tokens: 2_095 }));
    const { max_tokens: _, ...asked } = prompt(own);
    const counted = await client.messages.countTokens(asked);
    expect(counted).toEqual({ input_tokens: 2_095 });
    expect(upstream.only(own).url).toBe('/v1/messages/count_tokens');
  });

  test('lists the models that have a price, and retrieves one', async () => {
    const known = {
      type: 'model',
      id: MODEL,
      display_name: 'Opus',
      created_at: '2026-08-01T00:00:00Z',
    };
    const unpriced = { ...known, id: 'claude-unpriced-9' };
    const page = { data: [known, unpriced], has_more: false, first_id: MODEL, last_id: MODEL };
    const own = owns.get(`${mark} models`);
    own?.upstream.on('/v1/models', json(page));
    const bound = client.withOptions({ apiKey: own?.key ?? null });
    const list = await bound.models.list({ limit: 1_000 });
    expect(list.data).toEqual([known]);
    await expect(bound.models.retrieve(MODEL)).resolves.toMatchObject(known);
  });

  test('meets a wrong key as an authentication error, once', async () => {
    let calls = 0;
    const impatient = client.withOptions({
      apiKey: `${relay.keys.clients.slice(0, -1)}_`,
      maxRetries: 5,
      fetch: (url: string | URL | Request, init?: RequestInit) => {
        calls += 1;
        return fetch(url, init);
      },
    });
    const { AuthenticationError } = major === 1 ? Anthropic1 : Anthropic0;
    const failure = impatient.messages.create(prompt(`${mark}-wrong-key`));
    await expect(failure).rejects.toBeInstanceOf(AuthenticationError);
    await expect(failure).rejects.toMatchObject({ status: 401 });
    expect(calls).toBe(1);
    expect(upstream.seen(`${mark}-wrong-key`)).toHaveLength(0);
  });

  test.each(REFUSALS)('meets the upstream’s %i as its own class of error', async (...refusal) => {
    const [status, type, name] = refusal;
    const own = owns.get(`${mark} ${status}`);
    own?.upstream.on('refused', json(errorBody(type, `words of ${status}`), status));
    const bound = client.withOptions({ apiKey: own?.key ?? null });
    const failure = bound.messages.create(prompt('refused'));
    await expect(failure).rejects.toBeInstanceOf((major === 1 ? Anthropic1 : Anthropic0)[name]);
    await expect(failure).rejects.toMatchObject({
      status,
      error: { error: { type, message: `words of ${status}` } },
    });
  });

  test('raises when the upstream breaks off in the middle of a stream', async () => {
    const own = `${mark}-cut`;
    upstream.on(own, breakAfter(beginning('half an answer')));
    const texts: string[] = [];
    const running = client.messages.stream(prompt(own)).on('text', (text) => texts.push(text));
    const { APIError } = major === 1 ? Anthropic1 : Anthropic0;
    await expect(running.finalMessage()).rejects.toBeInstanceOf(APIError);
    expect(texts.join('')).toBe('half an answer');
  });

  test('leaves a stream, and the upstream learns it', async () => {
    const own = `${mark}-leave`;
    upstream.on(own, drip(beginning('one two')));
    const running = client.messages.stream(prompt(own));
    running.on('text', (_, soFar) => {
      if (soFar === 'one two') running.abort();
    });
    const { APIUserAbortError } = major === 1 ? Anthropic1 : Anthropic0;
    await expect(running.finalMessage()).rejects.toBeInstanceOf(APIUserAbortError);
    await upstream.only(own).left;
  });
});
