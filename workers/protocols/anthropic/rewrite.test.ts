import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BodyEdit } from './rewrite';
import { rewriteBody } from './rewrite';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function rewritten(body: string, edit: BodyEdit): string {
  const result = rewriteBody(encoder.encode(body), edit);
  if (!result.ok) throw new Error(`refused: ${result.error}`);
  return decoder.decode(result.value);
}

function refusal(body: string, edit: BodyEdit): string {
  const result = rewriteBody(encoder.encode(body), edit);
  if (result.ok) throw new Error(`was not refused: ${decoder.decode(result.value)}`);
  return result.error;
}

describe('rewriteBody', () => {
  it('replaces a value and leaves all else as it was written', () => {
    const body = ` { "max_tokens" : 1.50e1 ,\n"m\\u006fdel" : "a\\u0062" , "x":{"model":"in"} }\n`;
    expect(rewritten(body, { replace: { model: 'new "name"' } })).toBe(
      ` { "max_tokens" : 1.50e1 ,\n"m\\u006fdel" : "new \\"name\\"" , "x":{"model":"in"} }\n`,
    );
  });

  it.each([
    ['the first', '{"a":1, "b":2,"c":3}', '{ "b":2,"c":3}'],
    ['one between', '{"b":2,"a":1 , "c":3}', '{"b":2 , "c":3}'],
    ['the last', '{"b":2,"c":3, "a":1 }', '{"b":2,"c":3 }'],
    ['each of two', '{"a":1,"b":2,"\\u0061":{"a":[]}}', '{"b":2}'],
    ['the only one', '{ "a":1 }', '{ }'],
    ['none', '{"b":2}', '{"b":2}'],
  ])('removes %s of the members', (_, body, expected) => {
    expect(rewritten(body, { remove: ['a'] })).toBe(expected);
  });

  it('puts new members at the end, in place of any of their name', () => {
    const add = { v: 'x', list: ['a'] };
    expect(rewritten('{}', { add })).toBe('{"v":"x","list":["a"]}');
    expect(rewritten('{"v":1,"b":2 }', { add })).toBe('{"b":2,"v":"x","list":["a"] }');
    expect(rewritten('{"v":1}', { add, remove: ['b'] })).toBe('{"v":"x","list":["a"]}');
  });

  it('gives what editing the parsed body gives, whatever stands in it', () => {
    // No key that is a backslash alone: once V8 expects one, its JSON.parse takes a quote for it.
    const names = fc.constantFrom('model', 'stream', 'tags', 'other', 'x', '', '"', '\\o', 'ü');
    const bodies = fc.record({
      members: fc.uniqueArray(fc.tuple(names, fc.jsonValue()), { selector: ([name]) => name }),
      space: fc.constantFrom(0, 1, '\t'),
    });
    fc.assert(
      fc.property(bodies, fc.string(), ({ members, space }, model) => {
        const before = { ...Object.fromEntries(members), model: 'asked' };
        const text = JSON.stringify(before, null, space);
        const edit = { replace: { model }, remove: ['stream', 'tags'], add: { x: [1], y: 'z' } };
        const after: Record<string, unknown> = { ...before, model, x: [1], y: 'z' };
        delete after['stream'];
        delete after['tags'];
        expect(JSON.parse(rewritten(text, edit))).toEqual(JSON.parse(JSON.stringify(after)));
      }),
    );
  });

  it('keeps the bytes of every member that it does not edit', () => {
    const values = fc.array(fc.jsonValue().map((value) => JSON.stringify(value, null, 1)));
    fc.assert(
      fc.property(values, fc.nat(), (kept, seed) => {
        const members = kept.map((value, index) => `"k${index}"\n: ${value}`);
        const at = seed % (members.length + 1);
        const body = `{${members.toSpliced(at, 0, '"gone":[{"k0":1}]').join(' ,')}}`;
        const result = rewritten(body, { remove: ['gone'] });
        for (const member of members) expect(result).toContain(member);
        expect(result.replaceAll(/\s/g, '')).toBe(`{${members.join(',')}}`.replaceAll(/\s/g, ''));
      }),
    );
  });

  it('refuses two members of a name that is to be replaced, and none', () => {
    const edit = { replace: { model: 'n' } };
    expect(refusal('{"model":"a","mod\\u0065l":"b"}', edit)).toContain('model: must be given');
    expect(refusal('{"x":{"model":"a"}}', edit)).toBe('model: must be given exactly once');
  });

  it.each(['', '[]', '"model"', '{"model"', '{"model":"a"', '{"model":"a"}}', '{"model":"a",}'])(
    'refuses what is no JSON object: %s',
    (body) => {
      expect(rewriteBody(encoder.encode(body), { replace: { model: 'n' } }).ok).toBe(false);
      expect(rewriteBody(encoder.encode(body), { remove: ['model'] }).ok).toBe(false);
    },
  );
});
