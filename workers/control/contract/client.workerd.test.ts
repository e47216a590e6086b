import { describe, expect, expectTypeOf, it } from 'vitest';
import { auth } from './auth';
import type { ApiError, Fetch } from './client';
import { createClient } from './client';
import { credits } from './credits';
import { tokens } from './tokens';
import { users } from './users';
import { newPerson } from '../../../tests/workerd/control-world';
import { callApp } from '../../../tests/workerd/every-route';

/** The Worker itself, without a network. */
const fetch: Fetch = (address, { method = 'GET', headers, body }) =>
  callApp(method, address, {
    headers: Object.fromEntries(new Headers(headers)),
    ...(typeof body === 'string' ? { body } : {}),
  });
const client = createClient(fetch, '');
const headersOf = ({ token }: { readonly token: string }) => ({
  headers: { authorization: `Bearer ${token}` },
});

describe('the typed client', () => {
  it('gives the answers of the contract, with their types', async () => {
    const who = await newPerson();
    const me = await client.call(auth.me, headersOf(who));
    if (!me.ok) throw new Error(me.error.message);
    expectTypeOf(me.value.user.email).toEqualTypeOf<string>();
    expect(me.value.user.id).toBe(who.userId);

    const body = { name: 'laptop', tags: ['a'], limits: { concurrency: 2 } };
    const idempotencyKey = 'once';
    const call = { ...headersOf(who), body, idempotencyKey };
    const made = await client.call(tokens.create, call);
    const again = await client.call(tokens.create, call);
    if (!made.ok || !again.ok) throw new Error('not made');
    expectTypeOf(made.value.key).toEqualTypeOf<string | null>();
    expect(again.value).toEqual({ ...made.value, key: null, replayed: true });

    const parameters = { id: made.value.token.id };
    const found = await client.call(tokens.read, { ...headersOf(who), parameters });
    expect(found).toEqual({ ok: true, value: made.value.token });
    const listed = await client.call(tokens.list, { ...headersOf(who), query: { limit: 1 } });
    expect(listed).toMatchObject({ ok: true, value: { items: [{ id: parameters.id }] } });
    const gone = await client.call(tokens.delete, { ...headersOf(who), parameters });
    expect(gone).toEqual({ ok: true, value: undefined });
  });

  it('gives files as they came', async () => {
    const query = { format: 'csv', since: 0 } as const;
    const who = headersOf(await newPerson());
    const file = await client.open(credits.statement, { ...who, query });
    if (!file.ok) throw new Error(file.error.message);
    expect(await file.value.text()).toMatch(/^at,kind,/);
  });

  it('tells refusals by code, message and field', async () => {
    expect(await client.call(auth.me)).toEqual({
      ok: false,
      error: {
        status: 401,
        code: 'sign-in-needed',
        message: expect.any(String),
        requestId: expect.stringMatching(/^req_/),
        fields: {},
        retryAfterMs: null,
      },
    });
    const who = await newPerson();
    const wrong = await client.call(tokens.create, { ...headersOf(who), body: { name: '' } });
    expect(wrong).toMatchObject({
      ok: false,
      error: { status: 400, fields: { name: expect.any(String) } },
    });
  });

  it.each<readonly [string, Fetch, Partial<ApiError>]>([
    ['nothing', () => Promise.reject(new Error('down')), { status: 0, code: 'unreachable' }],
    [
      'a proxy’s page',
      async () => new Response('<html>', { status: 502, headers: { 'retry-after': '3' } }),
      { status: 502, code: 'unreadable', retryAfterMs: 3_000 },
    ],
    ['no JSON', async () => new Response('<html>'), { status: 200, code: 'unreadable' }],
    [
      'null',
      async () => new Response('null', { status: 500 }),
      { status: 500, code: 'unreadable' },
    ],
  ])('makes an error of %s', async (_name, odd, error) => {
    expect(await createClient(odd, '').call(auth.me)).toMatchObject({ ok: false, error });
  });

  it('lets no value out of its place in an address', async () => {
    const seen: string[] = [];
    const listening: Fetch = async (address) => {
      seen.push(address);
      return Response.json({});
    };
    const parameters = { id: '../users?x=1#y' };
    await createClient(listening, 'https://relay.example').call(users.read, { parameters });
    expect(seen).toEqual(['https://relay.example/admin/users/..%2Fusers%3Fx%3D1%23y']);
  });

  it('does not compile with what the contract does not have', () => {
    const misuse = () => {
      // @ts-expect-error a parameter of the path is missing
      void client.call(tokens.read);
      // @ts-expect-error the path has no such parameter
      void client.call(tokens.read, { parameters: { key: 'x' } });
      // @ts-expect-error a field of the body is missing
      void client.call(tokens.create, { body: {} });
      // @ts-expect-error nobody's field
      void client.call(tokens.create, { body: { name: 'x', role: 'admin' } });
      // @ts-expect-error there is no such query
      void client.call(tokens.list, { query: { colour: 'red' } });
      // @ts-expect-error reading has no body
      void client.call(auth.me, { body: {} });
      // @ts-expect-error only what is repeatable takes a key
      void client.call(auth.me, { idempotencyKey: 'x' });
    };
    expectTypeOf(misuse).toBeFunction();
  });
});
