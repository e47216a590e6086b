// What somebody reads whose call is not valid: which field, and what it would take.

import { describe, expect, it } from 'vitest';
import { auth } from './contract/auth';
import { credits } from './contract/credits';
import type { Endpoint } from './contract/endpoint';
import { tokens } from './contract/tokens';
import { readGiven } from './read';

async function fieldsOf(endpoint: Endpoint, sent: { body?: string; query?: string }) {
  const request = new Request(`https://relay.example/x?${sent.query ?? ''}`, {
    method: 'POST',
    ...(sent.body === undefined ? {} : { body: sent.body }),
  });
  const read = await readGiven(request, endpoint);
  if (read.ok || !('code' in read.error)) throw new Error('was not refused as not valid');
  expect(read.error.code).toBe('not-valid');
  return read.error.fields;
}

describe('a field that is not valid', () => {
  it('is told with what it takes, never with what was sent', async () => {
    const body = { email: 'nobody', password: 'short', name: 5, role: 'admin' };
    expect(await fieldsOf(auth.register, { body: JSON.stringify(body) })).toEqual({
      email: 'Invalid email address',
      password: 'Too small: expected string to have >=10 characters',
      name: 'Invalid input: expected string, received number',
      role: 'is not known',
    });
    expect(await fieldsOf(tokens.list, { query: 'limit=500&status=gone' })).toEqual({
      limit: 'Too big: expected number to be <=200',
      status: 'Invalid option: expected one of "active"|"disabled"|"deleted"',
    });
  });

  it.each(['a\u0000b', 'a\nb', '\u001b[2J', 'half \ud83d'])(
    'is a name that is more than one plain line: %j',
    async (name) => {
      const why = 'must be one line without control characters';
      expect(
        await fieldsOf(tokens.create, { body: JSON.stringify({ name, tags: [name] }) }),
      ).toEqual({ name: why, 'tags[0]': why });
    },
  );

  it('is named by its place in a list', async () => {
    const body = {
      budgets: [
        { period: 'day', limitNanos: 1 },
        { period: 'day', limitNanos: -1 },
      ],
    };
    expect(await fieldsOf(credits.setBudgets, { body: JSON.stringify(body) })).toEqual({
      'budgets[1].limitNanos': 'Too small: expected number to be >=0',
    });
  });

  it('is named also where its name is __proto__', async () => {
    const fields = await fieldsOf(tokens.list, { query: '__proto__=x' });
    expect(Object.keys(fields ?? {})).toEqual(['__proto__']);
  });

  it.each(['{', '[1', 'name=x', '{"name":"x","__proto__":{}}'])(
    'is the body itself where that is no JSON: %s',
    async (body) => {
      expect(await fieldsOf(tokens.create, { body })).toEqual({ body: 'is no JSON' });
    },
  );
});
