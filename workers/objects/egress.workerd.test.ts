// Against a server outside, through real connections: what one request looks like there, and what
// becomes of it when somebody goes away.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { far, told } from '../../tests/workerd/far';
import type { Via } from '../platform/egress';
import { egressOf } from '../platform/objects';
import type { OutboundCall } from '../platform/outbound';
import { ForbiddenAddress, upstreamFetch } from '../platform/outbound';
import { EgressObject } from './egress';

const SECRET = 'sk-upstream-canary';
const encoder = new TextEncoder();

/** A shard of its own for each test that looks at what an object remembers. */
let shards = 0;
function viaNew(more: Partial<Via> = {}): Via {
  shards += 1;
  return { env, region: 'apac', shard: shards, ...more };
}

function stubOf({ region, shard }: Via) {
  return env.EGRESS.get(env.EGRESS.idFromName(`egress:${region}:${shard}`));
}

function call(path: string, more: Partial<OutboundCall> = {}): OutboundCall {
  return {
    url: `${far.url}${path}`,
    method: 'POST',
    headers: new Headers({ 'x-api-key': SECRET, 'content-type': 'application/json' }),
    body: new Uint8Array(encoder.encode('{"model":"m"}')),
    signal: new AbortController().signal,
    ...more,
  };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a request through Egress', () => {
  const calls: readonly (readonly [string, Partial<OutboundCall>])[] = [
    ['with a body', {}],
    ['without a body', { method: 'GET', body: null }],
    ['with megabytes of any bytes', { body: new Uint8Array(3_000_001).fill(0xfe) }],
    ['with an empty body', { body: new Uint8Array(0) }],
    ['that deletes', { method: 'DELETE', body: null }],
  ];

  it.each(calls)('is the same as without, %s', async (what, more) => {
    const mark = encodeURIComponent(what);
    const direct = call(`/keep/a%2Fb/..c?mark=${mark}&x=%23+y`, more);
    const through = { ...direct, headers: new Headers(direct.headers) };
    const answers = [
      await upstreamFetch(direct, 'development'),
      await upstreamFetch(through, 'development', { via: viaNew({ refusedColo: 'HKG' }) }),
    ];
    const [one, other] = await told('kept', mark);
    expect(other).toEqual(one);
    expect(one?.rawHeaders.join('\n')).toContain(SECRET);
    const seen = answers.map(({ status, headers }) => [status, headers.get('content-length')]);
    expect(seen[1]).toEqual(seen[0]);
    expect([...(answers[1]?.headers ?? [])].filter(([name]) => name.startsWith('relay-'))).toEqual(
      [],
    );
    for (const answer of answers) await answer.text();
  });

  it('is answered piece by piece while its body is still being written', async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const answering = upstreamFetch(call('/echo', { body: readable }), 'development', {
      via: viaNew(),
    });
    await writer.write(encoder.encode('one'));
    const response = await answering;
    const reader = response.body?.getReader();
    const next = async (): Promise<string> => {
      const { value } = (await reader?.read()) ?? {};
      return new TextDecoder().decode(value as Uint8Array);
    };
    expect(await next()).toBe('one');
    await writer.write(encoder.encode('two'));
    expect(await next()).toBe('two');
    await writer.close();
    expect(await reader?.read()).toMatchObject({ done: true });
  });

  it('keeps the upstream back when nobody takes its answer', async () => {
    const response = await upstreamFetch(call('/flood?mark=flood'), 'development', {
      via: viaNew(),
    });
    const bytes = await told('held-back', 'flood');
    expect(bytes).toBeLessThan(64 * 1024 * 1024);
    await response.body?.cancel();
    expect(await told('left', 'flood')).toBe(true);
  });

  it('ends at the upstream when it is given up before any header', async () => {
    const ending = new AbortController();
    const given = call('/hang?mark=hang', { signal: ending.signal });
    const answering = upstreamFetch(given, 'development', { via: viaNew() });
    const failed = answering.catch((error: unknown) => error);
    await told('came', 'hang');
    ending.abort();
    expect(await failed).toMatchObject({ name: 'AbortError' });
    expect(await told('left', 'hang')).toBe(true);
  });

  it('ends at the upstream when it is given up in the middle of its answer', async () => {
    const ending = new AbortController();
    const given = call('/begin?mark=begin', { signal: ending.signal });
    const response = await upstreamFetch(given, 'development', { via: viaNew() });
    const reader = response.body?.getReader();
    await reader?.read();
    ending.abort();
    await expect(reader?.read()).rejects.toThrow();
    expect(await told('left', 'begin')).toBe(true);
  });

  it('ends at the upstream when its reader goes away', async () => {
    const response = await upstreamFetch(call('/begin?mark=cancel'), 'development', {
      via: viaNew(),
    });
    await response.body?.cancel();
    expect(await told('left', 'cancel')).toBe(true);
  });

  it('breaks off where its upstream does, and does not end as if it were whole', async () => {
    const response = await upstreamFetch(call('/break'), 'development', { via: viaNew() });
    await expect(response.text()).rejects.toThrow();
  });
});

describe('an answer through Egress', () => {
  it.each([301, 302, 303, 307, 308])('of %i is handed back and not followed', async (status) => {
    const before = await told('evil');
    for (const via of [undefined, viaNew()]) {
      const way = via === undefined ? {} : { via };
      const mark = `redirect-${status}-${via === undefined}`;
      const response = await upstreamFetch(
        call(`/redirect/${status}?mark=${mark}`),
        'development',
        way,
      );
      expect(response.status).toBe(status);
      expect(response.headers.get('location')).toContain(`:${far.evilPort}/`);
      expect(await told('kept', mark)).toHaveLength(1);
    }
    expect(await told('evil')).toBe(before);
  });

  it('is what the upstream says, not what it says of Egress', async () => {
    for (const status of [200, 204, 304, 403, 529]) {
      const response = await upstreamFetch(call(`/status/${status}`), 'development', {
        via: viaNew(),
      });
      expect([status, response.status]).toEqual([status, status]);
      expect(response.headers.get('relay-egress-outcome')).toBe(null);
      expect(response.headers.getSetCookie()).toEqual(['a=b']);
    }
  });

  it('of a status that is none is no answer', async () => {
    const answering = upstreamFetch(call('/status/600'), 'development', { via: viaNew() });
    await expect(answering).rejects.toThrow('no answer came through Egress');
  });

  it('that does not come is a failure as without Egress', async () => {
    const url = 'http://127.0.0.1:9/';
    const answering = upstreamFetch(call('', { url }), 'development', { via: viaNew() });
    await expect(answering).rejects.toThrow('no answer came through Egress');
  });
});

describe('an Egress object', () => {
  it('stands in the region that is named, eight of them by number', () => {
    const get = vi.spyOn(env.EGRESS, 'get');
    egressOf(env, 'enam', 7);
    expect(get).toHaveBeenCalledExactlyOnceWith(env.EGRESS.idFromName('egress:enam:7'), {
      locationHint: 'enam',
    });
  });

  it('checks the address itself: what reaches it by any way goes nowhere it may not', async () => {
    const before = await told('evil');
    const via = viaNew();
    const bindings = { ...env, RELAY_ENVIRONMENT: 'production' } as const;
    const statuses = await runInDurableObject(stubOf(via), async (_, state) => {
      const strict = new EgressObject(state, bindings);
      const urls = [`http://127.0.0.1:${far.evilPort}`, 'https://169.254.169.254/latest/meta-data'];
      const answers = await Promise.all(urls.map((url) => strict.fetch(new Request(url))));
      return answers.map(({ headers }) => headers.get('relay-egress-outcome'));
    });
    expect(statuses).toEqual(['forbidden', 'forbidden']);
    expect(await told('evil')).toBe(before);
    const refusing = { get: () => ({ fetch: async () => strictAnswer() }), idFromName: () => '' };
    const way = { via: { ...via, env: { EGRESS: refusing as unknown as Env['EGRESS'] } } };
    await expect(upstreamFetch(call('/keep'), 'development', way)).rejects.toThrow(
      ForbiddenAddress,
    );
  });

  it('is not asked at all where the caller’s own guard says no', async () => {
    const get = vi.spyOn(env.EGRESS, 'get');
    const given = call('', { url: `http://127.0.0.1:${far.evilPort}` });
    const answering = upstreamFetch(given, 'production', { via: viaNew() });
    await expect(answering).rejects.toThrow(ForbiddenAddress);
    expect(get).not.toHaveBeenCalled();
  });

  it('remembers the data centre that its first answer tells, and nothing else', async () => {
    const via = viaNew();
    const colo = () => egressOf(env, via.region, via.shard).colo();
    const ask = async (ray: string) =>
      upstreamFetch(call(`/ray/${encodeURIComponent(ray)}`), 'development', { via });
    expect(await colo()).toBe(null);
    for (const ray of ['no-ray', '0123456789abcdef-sin', '0123456789abcdef-SINX', 'x-SIN', 'SIN']) {
      await ask(ray);
    }
    expect(await colo()).toBe(null);
    await ask('0123456789abcdef-SIN');
    await ask('fedcba9876543210-LHR');
    expect(await colo()).toBe('SIN');
    await evictDurableObject(stubOf(via));
    expect(await colo()).toBe('SIN');
    const stored = await runInDurableObject(stubOf(via), (_, { storage }) => [
      ...storage.kv.list(),
    ]);
    expect(stored).toEqual([['colo', 'SIN']]);
  });

  it('says once when it stands where the refusal came from, without a word of the request', async () => {
    const lines = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const via = viaNew();
    const ask = async (refusedColo: string) =>
      upstreamFetch(call('/ray/0123456789abcdef-HKG'), 'development', {
        via: { ...via, refusedColo },
      });
    for (const colo of ['', 'LHR', 'HKG', 'HKG']) expect((await ask(colo)).status).toBe(403);
    const said = lines.mock.calls
      .map(([line]) => String(line))
      .filter((line) => line.includes('egress'));
    const object = `egress:apac:${via.shard}`;
    expect(said).toEqual([JSON.stringify({ event: 'egress-elsewhere', object, colo: 'HKG' })]);
    expect(JSON.stringify(lines.mock.calls)).not.toContain(SECRET);
  });
});

function strictAnswer(): Response {
  return new Response(null, { status: 502, headers: { 'relay-egress-outcome': 'forbidden' } });
}
