// `count_tokens` where no account of the key's can count: an estimate, and said to be one.

import { likelyTokens } from '../domain/pricing/estimate';
import { jsonAnswer } from './answer';
import type { Journey } from './journey';

/** The estimate, in the API's form; `estimated` and a header tell it from a count. */
export function estimatedCount(journey: Journey): Response {
  const { sizes } = journey.body?.essentials ?? {};
  const tokens = sizes === undefined ? 0 : likelyTokens(sizes);
  const answer = jsonAnswer(journey, { input_tokens: tokens, estimated: true });
  answer.headers.set('x-relay-estimated', 'input_tokens');
  return answer;
}
