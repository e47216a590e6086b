// The commands, one a row: what is typed, the operation of the API that it does, what is shown of
// the answer. Flags follow from the operation (operations.mjs). What has no row is reached by
// `call <operation>`.

/**
 * @typedef {object} Command
 * @property {string} command group and name
 * @property {string} does name of an operation
 * @property {readonly string[]} [takes] fields that are words, in this order; else the path's
 * @property {readonly string[]} [columns] of the table that a list is shown as
 * @property {string} [says] in place of the operation's summary, where it is used for one thing
 * @property {true} [counts] how many there are is shown, not which
 */

const KEY = ['id', 'name', 'status', 'userId', 'tags', 'expiresAt', 'createdAt'];
const LINE = ['at', 'kind', 'amountNanos', 'balanceNanos', 'model', 'requestId', 'reason'];
const REQUEST = ['admittedAt', 'id', 'model', 'status', 'closing', 'costNanos', 'totalMs'];
const ACCOUNT = ['id', 'name', 'kind', 'status', 'weight', 'priority'];
const STATE = ['state', 'reasons.0.until', 'reasons.0.reason'];
const DAY = ['day', 'name', 'requests', 'failures', 'cacheHitShare', 'costNanos', 'accountNanos'];
const LOST = ['moves', 'movedNanos', 'absorbedAttempts', 'absorbedNanos'];

/** @type {readonly Command[]} */
export const COMMANDS = [
  { command: 'my keys', does: 'tokens.list', columns: KEY },
  { command: 'my balance', does: 'credits.balance' },
  { command: 'my statement', does: 'credits.statement', columns: LINE },
  { command: 'my requests', does: 'relay.requests', columns: REQUEST },
  { command: 'my usage', does: 'relay.usage' },
  {
    command: 'my logins',
    does: 'auth.sessions',
    columns: ['id', 'current', 'createdAt', 'lastUsedAt', 'address', 'userAgent'],
  },

  {
    command: 'users list',
    does: 'admin.users.list',
    columns: ['id', 'email', 'name', 'role', 'status', 'wallet.balanceNanos', 'createdAt'],
  },
  { command: 'users show', does: 'admin.users.read' },
  { command: 'users create', does: 'admin.users.create', takes: ['email', 'name'] },
  { command: 'users change', does: 'admin.users.change' },
  {
    command: 'users limits',
    does: 'admin.users.change',
    takes: ['id', 'limits'],
    says: 'Sets somebody’s limits as a whole, as JSON; {} limits nothing.',
  },
  { command: 'users suspend', does: 'admin.users.suspend' },
  { command: 'users activate', does: 'admin.users.activate' },
  { command: 'users password', does: 'admin.users.password' },
  { command: 'users logout', does: 'admin.users.logout' },
  { command: 'users delete', does: 'admin.users.delete' },

  { command: 'keys list', does: 'admin.keys.list', columns: KEY },
  {
    command: 'keys count',
    does: 'admin.keys.list',
    counts: true,
    says: 'Says how many API keys there are, of a user, a tag, or a secret’s version.',
  },
  { command: 'keys show', does: 'admin.keys.read' },
  { command: 'keys create', does: 'admin.keys.create', takes: ['id', 'name'] },
  { command: 'keys change', does: 'admin.keys.change' },
  { command: 'keys disable', does: 'admin.keys.disable' },
  { command: 'keys enable', does: 'admin.keys.enable' },
  { command: 'keys rotate', does: 'admin.keys.rotate' },
  { command: 'keys usage', does: 'admin.keys.usage' },
  { command: 'keys delete', does: 'admin.keys.delete' },

  {
    command: 'credits list',
    does: 'admin.credits.list',
    columns: ['userId', 'email', 'name', 'balanceNanos', 'asOf'],
  },
  { command: 'credits balance', does: 'admin.credits.balance' },
  { command: 'credits statement', does: 'admin.credits.statement', columns: LINE },
  { command: 'credits grant', does: 'admin.credits.grant', takes: ['userId', 'amountNanos'] },
  { command: 'credits adjust', does: 'admin.credits.adjust', takes: ['userId', 'amountNanos'] },
  { command: 'credits refund', does: 'admin.credits.refund', takes: ['requestId'] },
  { command: 'credits redeem', does: 'credits.redeem', takes: ['code'] },

  {
    command: 'codes list',
    does: 'admin.codes.list',
    columns: ['id', 'name', 'amountNanos', 'count', 'uses', 'expiresAt', 'revokedAt'],
  },
  { command: 'codes show', does: 'admin.codes.read' },
  { command: 'codes create', does: 'admin.codes.create', takes: ['name', 'amountNanos', 'count'] },
  {
    command: 'codes used',
    does: 'admin.codes.redemptions',
    columns: ['at', 'codeId', 'use', 'userId', 'entryId'],
  },
  { command: 'codes revoke', does: 'admin.codes.revoke' },

  { command: 'accounts list', does: 'admin.accounts.list', columns: [...ACCOUNT, ...STATE] },
  { command: 'accounts show', does: 'admin.accounts.read' },
  { command: 'accounts add', does: 'admin.accounts.create', takes: ['name', 'kind', 'baseUrl'] },
  { command: 'accounts change', does: 'admin.accounts.change' },
  { command: 'accounts credential', does: 'admin.accounts.credential' },
  { command: 'accounts test', does: 'admin.accounts.test' },
  { command: 'accounts reset', does: 'admin.accounts.reset' },
  {
    command: 'accounts days',
    does: 'admin.accounts.allDays',
    takes: ['accountId'],
    columns: [...DAY, ...LOST],
  },
  { command: 'accounts enable', does: 'admin.accounts.enable' },
  { command: 'accounts drain', does: 'admin.accounts.drain' },
  { command: 'accounts disable', does: 'admin.accounts.disable' },
  { command: 'accounts delete', does: 'admin.accounts.delete' },

  {
    command: 'prices list',
    does: 'admin.prices.list',
    columns: ['model', 'family', 'state', 'source', 'effectiveFrom', 'id'],
  },
  { command: 'prices add', does: 'admin.prices.create', takes: ['model', 'family'] },
  { command: 'prices preview', does: 'admin.prices.preview', takes: ['model'] },
  {
    command: 'prices unknown',
    does: 'admin.prices.unknown',
    columns: ['model', 'times', 'lastSeenAt', 'isPriced'],
  },
  {
    command: 'prices aliases',
    does: 'admin.prices.aliases',
    columns: ['alias', 'model', 'source'],
  },
  { command: 'prices delete', does: 'admin.prices.delete' },

  { command: 'requests search', does: 'admin.requests.list', columns: [...REQUEST, 'userId'] },
  { command: 'requests show', does: 'admin.requests.read' },
  { command: 'requests stop', does: 'admin.requests.stop' },

  {
    command: 'invites list',
    does: 'invites.list',
    columns: ['id', 'email', 'role', 'createdAt', 'expiresAt', 'usedAt', 'revokedAt'],
  },
  { command: 'invites create', does: 'invites.create' },
  { command: 'invites revoke', does: 'invites.revoke' },

  {
    command: 'service-tokens list',
    does: 'service-tokens.list',
    columns: ['id', 'name', 'scopes', 'createdAt', 'expiresAt', 'revokedAt'],
  },
  { command: 'service-tokens create', does: 'service-tokens.create', takes: ['name', 'scopes'] },
  { command: 'service-tokens revoke', does: 'service-tokens.revoke' },

  {
    command: 'settings list',
    does: 'admin.settings.list',
    columns: ['name', 'value', 'default', 'summary'],
  },
  { command: 'settings set', does: 'admin.settings.set', takes: ['name', 'value'] },

  {
    command: 'audit list',
    does: 'admin.audit.list',
    columns: ['at', 'actorId', 'action', 'targetId', 'address', 'requestId'],
  },
  { command: 'usage show', does: 'admin.usage' },
  { command: 'summary show', does: 'admin.summary' },
];
