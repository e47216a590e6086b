import { describe, expect, it } from 'vitest';
import { environmentFile, plainJson } from './secrets.mjs';
import { readSettings } from './settings.mjs';

describe('the settings of a start', () => {
  it('are ports 3000 and 3001, the official host and no account when nothing is said', () => {
    expect(readSettings({})).toMatchObject({
      relayUrl: 'http://127.0.0.1:3000',
      dashboardUrl: 'http://127.0.0.1:3001',
      accounts: [],
    });
  });

  it('make an account of each key, once', () => {
    const { accounts } = readSettings({ ANTHROPIC_API_KEY: ' one, two,one,' });
    const baseUrl = 'https://api.anthropic.com';
    expect(accounts).toEqual([
      { name: 'anthropic-1', kind: 'anthropic', baseUrl, apiKey: 'one' },
      { name: 'anthropic-2', kind: 'anthropic', baseUrl, apiKey: 'two' },
    ]);
  });

  it.each([
    ['https://api.anthropic.com/', 'anthropic', 'https://api.anthropic.com'],
    ['https://host.example/a/b/', 'anthropic-compatible', 'https://host.example/a/b'],
    ['http://127.0.0.1:9/x', 'anthropic-compatible', 'http://127.0.0.1:9/x'],
    ['http://localhost:9', 'anthropic-compatible', 'http://localhost:9'],
    ['http://[::1]:9', 'anthropic-compatible', 'http://[::1]:9'],
  ])('take %s as the upstream', (url, kind, baseUrl) => {
    const settings = readSettings({ ANTHROPIC_API_KEY: 'a', ANTHROPIC_UPSTREAM_URL: url });
    expect(settings.accounts).toEqual([{ name: 'anthropic-1', kind, baseUrl, apiKey: 'a' }]);
  });

  it.each([
    [{ RELAY_PORT: '0' }, /^RELAY_PORT must be a port/],
    [{ RELAY_PORT: '3000a' }, /^RELAY_PORT must be a port/],
    [{ DASHBOARD_PORT: '70000' }, /^DASHBOARD_PORT must be a port/],
    [{ RELAY_PORT: '3001' }, /choose two/],
    [{ ANTHROPIC_UPSTREAM_URL: 'host.example' }, /is not a URL/],
    [{ ANTHROPIC_UPSTREAM_URL: 'http://host.example' }, /must be https/],
    [{ ANTHROPIC_UPSTREAM_URL: 'http://127.0.0.1.example' }, /must be https/],
    [{ ANTHROPIC_UPSTREAM_URL: 'https://10.0.0.1' }, /must be https/],
    [{ ANTHROPIC_UPSTREAM_URL: 'https://host.example:8443' }, /must be https/],
    [{ ANTHROPIC_UPSTREAM_URL: 'https://127.0.0.1' }, /must be https/],
    [{ ANTHROPIC_UPSTREAM_URL: 'https://gateway.internal' }, /must be https/],
    [{ ANTHROPIC_UPSTREAM_URL: 'https://gateway.corp.' }, /must be https/],
    [{ ANTHROPIC_UPSTREAM_URL: 'https://a:b@host.example' }, /user name or password/],
    [{ ANTHROPIC_UPSTREAM_URL: 'https://host.example/?a' }, /query or a fragment/],
    [{ ANTHROPIC_API_KEY: 'good,not good' }, /key 2 holds a space/],
  ])('refuse %o in a sentence', (environment, sentence) => {
    expect(() => readSettings(environment)).toThrow(sentence);
  });

  it('never put a key into the sentence', () => {
    expect(() => readSettings({ ANTHROPIC_API_KEY: 'sec ret' })).not.toThrow(/sec ret/);
  });
});

describe('the file that hands secrets to the Worker', () => {
  it('spells what its reader would take for its own, and is the same JSON', () => {
    const value = [{ apiKey: `$HOME \${A} ' " \\ \`x\` ü 🐚 \n #` }];
    const text = plainJson(value);
    expect(text).toMatch(/^[\x20-\x7e]+$/);
    expect(text).not.toMatch(/[$'`]/);
    expect(JSON.parse(text)).toEqual(value);
    expect(environmentFile({ A: text })).toBe(`A='${text}'\n`);
  });

  it('is not written with a value that it would change', () => {
    expect(() => environmentFile({ A: "it's" })).toThrow('A cannot be written');
  });
});
