import { describe, expect, it } from 'vitest';
import { resolveModel } from '../domain/pricing/find';
import { LIST_ALIASES, LIST_PRICES } from '../domain/pricing/list-prices';
import { bedrockName, mantleName, nameAt, vertexName } from './names';

const MODELS = [...new Set(LIST_PRICES.map(({ model }) => model))];
const REGIONS = ['us-east-1', 'eu-west-1', 'ap-northeast-1', 'ap-southeast-2', 'sa-east-1'];

describe('the clouds’ names of models', () => {
  it.each([
    ['claude-opus-5-5', 'us-east-1', 'us.anthropic.claude-opus-5-5'],
    ['claude-opus-4-6', 'eu-central-1', 'eu.anthropic.claude-opus-4-6-v1'],
    ['claude-sonnet-4-5', 'ap-northeast-1', 'jp.anthropic.claude-sonnet-4-5-20250929-v1:0'],
    ['claude-sonnet-4-6', 'ap-southeast-2', 'au.anthropic.claude-sonnet-4-6'],
    ['claude-opus-4-1-20250805', 'us-west-2', 'us.anthropic.claude-opus-4-1-20250805-v1:0'],
    ['claude-opus-5', 'us-gov-west-1', 'us-gov.anthropic.claude-opus-5'],
    ['claude-opus-5', 'sa-east-1', 'anthropic.claude-opus-5'],
    ['global.anthropic.claude-opus-5', 'us-east-1', 'global.anthropic.claude-opus-5'],
    ['arn:aws:bedrock:us-east-1:1:x/y', 'us-east-1', 'arn:aws:bedrock:us-east-1:1:x/y'],
  ])('%s is at Bedrock in %s %s', (model, region, name) => {
    expect(bedrockName(model, region)).toBe(name);
  });

  it('at Google Cloud have their date behind an at sign, at Bedrock’s Messages endpoint none', () => {
    expect(vertexName('claude-sonnet-4-5')).toBe('claude-sonnet-4-5@20250929');
    expect(vertexName('claude-haiku-4-5-20251001')).toBe('claude-haiku-4-5@20251001');
    expect(vertexName('claude-opus-5-5')).toBe('claude-opus-5-5');
    expect(mantleName('claude-haiku-4-5')).toBe('anthropic.claude-haiku-4-5');
    expect(mantleName('other')).toBe('other');
  });

  it('are all known again by the price list under the model’s own id', () => {
    const catalogue = { version: 1, rows: LIST_PRICES, aliases: LIST_ALIASES };
    for (const model of MODELS) {
      const names = REGIONS.map((region) => bedrockName(model, region));
      for (const name of [...names, mantleName(model), vertexName(model)]) {
        expect([name, resolveModel(catalogue, name)]).toEqual([name, model]);
      }
    }
  });
});

describe('the name that an account is asked for', () => {
  const asked = { model: 'claude-opus-5', askedModel: 'opus' };
  const written = ({ written }: { written: string }) => written;

  it('is the account’s own, by the catalogue’s id before the client’s word', () => {
    const modelNames = { opus: 'mine', 'claude-opus-5': 'deployment/7' };
    expect(nameAt({ modelNames }, asked, written)).toEqual({ ok: true, value: 'deployment/7' });
    const byWord = nameAt({ modelNames: { opus: 'mine' } }, asked, written);
    expect(byWord).toEqual({ ok: true, value: 'mine' });
  });

  it('else is the kind’s, from both', () => {
    const name = nameAt({ modelNames: {} }, asked, ({ model, written }) => `${model}+${written}`);
    expect(name).toEqual({ ok: true, value: 'claude-opus-5+opus' });
    const unknown = { model: null, askedModel: 'toString' };
    expect(nameAt({ modelNames: {} }, unknown, ({ model }) => model)).toEqual({
      ok: true,
      value: 'toString',
    });
  });

  it.each(['', '.', '..', '-x', 'a b', 'a\n', 'ä', 'x'.repeat(2_049)])(
    'is none when it is %j',
    (name) => {
      const result = nameAt({ modelNames: { opus: name } }, asked, written);
      expect(result).toMatchObject({ ok: false, error: { why: 'request' } });
    },
  );
});
