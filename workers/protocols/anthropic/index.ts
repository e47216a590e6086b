// The Anthropic Messages format as one value; the only barrel of its folder.

import type { Protocol } from '../protocol';
import { renderError, renderStreamError } from './errors';
import type { AnthropicOperation } from './request';
import { readEssentials } from './request';
import { createStreamMeter, readJsonAnswer } from './usage';

export type { AnthropicOperation } from './request';

/** Requests, answers and errors as Claude clients and the Claude API write them. */
export const anthropic: Protocol<AnthropicOperation> = {
  readEssentials,
  createStreamMeter,
  readJsonAnswer,
  renderError,
  renderStreamError,
  ping: 'event: ping\ndata: {"type": "ping"}\n\n',
};
