// Holds: what is set aside while a request runs, so that its cost cannot pass the balance and its
// `max_tokens` cannot starve the others (ledger.md §4). Plain arithmetic on what the caller knows;
// it keeps no book of holds and never learns what a request really cost.

import type { Nanos } from '../money';
import {
  addNanos,
  divideUp,
  nanos,
  NANOS_PER_DOLLAR,
  nanosFromPicosUp,
  PICOS_PER_NANO,
  subtractNanos,
  ZERO_NANOS,
} from '../money';
import type { Factor, PriceBand, PriceRow } from '../pricing/catalogue';
import { LIKELY_MEDIA_TOKENS, likelyInputPicos, mediaTokens, newMedia } from '../pricing/estimate';
import { ownValue } from '../pricing/find';
import { HOUR_MS, SECOND_MS } from '../time';
import type { AskedTerms, RequestSizes } from './calls';
import type { LastPrompt } from './conversation';

/** The smallest slice of output that is worth starting a stream for. */
const SLICE_TOKENS_MIN = 1_024;
/** A slice is at most this part of what is available, so that others still fit beside it. */
const SLICE_PARTS = 8;
/** Text bytes a token that no text passes but a dense one (CJK, emoji, encoded data). */
const COLD_BYTES_PER_TOKEN = 2;
/** A known conversation is never bounded by less: its old text may have been replaced. */
const KNOWN_BYTES_PER_TOKEN = 5;
/**
 * Prompt text that no body byte stands for: the instructions that a vendor adds for tools (some
 * 350 tokens) and for each built-in client tool (250 to 750, for some 50 bytes). Without it a short
 * request with tools would pass its bound and its wallet be taken for wary.
 */
const UNSEEN_TOKENS = 2_000;
/**
 * The most that an inline item is taken to cost, by size class. An image of the largest size that
 * is not scaled down (3.75 megapixels) is 5,000 tokens by the vendor's width × height / 750. A page
 * of a document is some 2,500, and documents count as large: 40 pages. More pages are possible;
 * then the bound is passed, which shows as overrun.
 */
const MEDIA_TOKENS_MAX = { small: 5_000, medium: 25_000, large: 100_000 } as const;
/** Media of a known conversation may have been replaced by as many others; a document by any. */
const KNOWN_MEDIA_TOKENS = { ...LIKELY_MEDIA_TOKENS, large: MEDIA_TOKENS_MAX.large } as const;
/** Any item may fill the longest prompt that any model takes: no size tells how many pages. */
const WARY_MEDIA_TOKENS = { small: 1_000_000, medium: 1_000_000, large: 1_000_000 } as const;
/** No model takes a longer prompt; what is longer is refused upstream and costs nothing. */
const PROMPT_TOKENS_MAX = 1_000_000;
/** What one call of a server tool adds to the prompt (ledger.md, U). */
export const TOOL_RESULT_TOKENS = 10_000;
/** How long a wallet that has passed its bound is held at one token a byte. */
export const WARY_MS = 24 * HOUR_MS;
/** Fastest output of any model, in tokens a second, where its price row says nothing else. */
const TOP_TOKENS_PER_SECOND = 300;
/** No request is charged more (price.ts), so none needs to be held by more. */
const BOUND_NANOS_MAX = BigInt(1_000_000 * NANOS_PER_DOLLAR);

/** What a request can cost at most, and what its input most likely costs. */
export interface Bounds {
  /** Upper bound of the prompt, without what server tools add. */
  readonly inputTokens: number;
  /** U in two parts: the prompt, */
  readonly inputNanos: Nanos;
  /** and the calls of server tools with what they bring in. */
  readonly toolsNanos: Nanos;
  /** L. */
  readonly likelyInputNanos: Nanos;
  /** Whole pico-dollars a token, rounded up. */
  readonly outputPicosPerToken: number;
  /** Asked `max_tokens`, cut to what the model gives. */
  readonly outputTokensMax: number;
}

export interface BoundsQuestion {
  readonly sizes: RequestSizes;
  /** null: an older Worker did not say. */
  readonly asked: AskedTerms | null;
  /** Row of the asked model. */
  readonly price: PriceRow;
  /** Rows of the other models that may answer; the dearest of all counts. */
  readonly fallbacks: readonly PriceRow[];
  /** Last prompt of the conversation; null: cold. */
  readonly conversation: LastPrompt | null;
  /** True usage of this wallet has lately passed its bound. */
  readonly isWary: boolean;
}

/** U, L and the price of output of one request. */
export function boundsOf(question: BoundsQuestion): Bounds {
  const { sizes, asked, price, fallbacks, conversation } = question;
  const inputTokens = inputTokensMax(question);
  const toolTokens = toolTokensMax(question);
  const dearest = dearestPrices(question, inputTokens + toolTokens);
  const callsPicos = BigInt(sizes.serverToolUses) * dearest.toolCall;
  const modelMax = Math.max(...[price, ...fallbacks].map((row) => row.maxOutputTokens));
  const inputNanos = boundNanos(BigInt(inputTokens) * dearest.input);
  const likelyPicos = likelyInputPicos(sizes, price, conversation);
  const likelyNanos = boundNanos(multiplyUp(likelyPicos, factorsOf(price, asked)));
  return {
    inputTokens,
    inputNanos,
    toolsNanos: boundNanos(callsPicos + BigInt(toolTokens) * dearest.input),
    // No prompt is longer than the bound, so no likely one either.
    likelyInputNanos: likelyNanos < inputNanos ? likelyNanos : inputNanos,
    outputPicosPerToken: Number(dearest.output),
    outputTokensMax: Math.min(modelMax, Math.max(0, Math.ceil(sizes.maxTokens ?? modelMax))),
  };
}

function inputTokensMax(question: BoundsQuestion): number {
  return Math.min(PROMPT_TOKENS_MAX, uncutTokensMax(question));
}

function uncutTokensMax({ sizes, conversation, isWary }: BoundsQuestion): number {
  const { textBytes, media } = sizes;
  if (isWary) return UNSEEN_TOKENS + textBytes + mediaTokens(media, WARY_MEDIA_TOKENS);
  if (conversation === null) {
    const textTokens = Math.ceil(textBytes / COLD_BYTES_PER_TOKEN);
    return UNSEEN_TOKENS + textTokens + mediaTokens(media, MEDIA_TOKENS_MAX);
  }
  const newBytes = Math.max(0, textBytes - conversation.textBytes);
  const newTokens = newBytes + mediaTokens(newMedia(sizes, conversation), MEDIA_TOKENS_MAX);
  const leastTokens =
    Math.ceil(textBytes / KNOWN_BYTES_PER_TOKEN) + mediaTokens(media, KNOWN_MEDIA_TOKENS);
  return Math.max(conversation.promptTokens + newTokens, leastTokens);
}

/** What server tools add. A wary wallet's may be as long as a prompt can be, all together. */
function toolTokensMax({ sizes: { serverToolUses }, isWary }: BoundsQuestion): number {
  if (serverToolUses === 0) return 0;
  return Math.max(serverToolUses * TOOL_RESULT_TOKENS, isWary ? PROMPT_TOKENS_MAX : 0);
}

/** Pico-dollars a token, or a call of a tool. */
interface DearestPrices {
  readonly input: bigint;
  readonly output: bigint;
  readonly toolCall: bigint;
}

/** The dearest that can apply to a prompt of at most `promptTokens`, whichever model answers. */
function dearestPrices(question: BoundsQuestion, promptTokens: number): DearestPrices {
  const { price, fallbacks, sizes, asked } = question;
  let dearest: DearestPrices = { input: 0n, output: 0n, toolCall: 0n };
  for (const row of [price, ...fallbacks]) {
    const factors = factorsOf(row, asked);
    // Any part of the prompt may turn out shorter: every band up to its own can apply.
    const bands = row.bands.filter(({ promptAbove }, n) => n === 0 || promptAbove < promptTokens);
    for (const band of bands) {
      const input = multiplyUp(BigInt(dearestInput(band, sizes.cacheTtl)), factors);
      const output = multiplyUp(BigInt(band.output), factors);
      dearest = {
        input: larger(dearest.input, input),
        output: larger(dearest.output, output),
        toolCall: larger(dearest.toolCall, BigInt(row.webSearchPicos)),
      };
    }
  }
  return dearest;
}

/** The 5-minute write price counts unasked too: an upstream may cache by itself. */
function dearestInput(band: PriceBand, cacheTtl: RequestSizes['cacheTtl']): number {
  const { input, cacheWrite5m, cacheWrite1h, cacheRead } = band;
  return Math.max(input, cacheWrite5m, cacheRead, cacheTtl === '1h' ? cacheWrite1h : 0);
}

/** Factors of what was asked for, none below 1: the upstream may answer at its usual terms. */
function factorsOf(row: PriceRow, asked: AskedTerms | null): readonly Factor[] {
  if (asked === null) return [];
  return [
    termFactor(row.speed, asked.speed, UNKNOWN_FACTOR),
    termFactor(row.geo, asked.geo, UNKNOWN_FACTOR),
    // `auto` and its like are asked for but never answered: one of the listed ones will be.
    termFactor(row.tier, asked.tier, SAME),
  ];
}

const SAME: Factor = [1, 1];
/** What turns up unknown in the answer costs twice the dearest that is known (ledger.md §1). */
const UNKNOWN_FACTOR: Factor = [2, 1];

/** The listed factor of `asked`; for one not listed the highest that is, times `unlisted`. */
function termFactor(
  table: Readonly<Record<string, Factor>>,
  asked: string | null,
  unlisted: Factor,
): Factor {
  if (asked === null) return SAME;
  const listed = ownValue(table, asked);
  if (listed !== null) return higher(SAME, listed);
  const [over, under] = Object.values(table).reduce(higher, SAME);
  return [over * unlisted[0], under * unlisted[1]];
}

export interface Hold {
  readonly inputNanos: Nanos;
  readonly toolsNanos: Nanos;
  readonly outputNanos: Nanos;
  /** Output is held up to this count. */
  readonly heldOutputTokensUpTo: number;
  /** Low balance: holds all that was available, until the input is reported (JSON: to the end). */
  readonly all: boolean;
  /** `inputNanos` is what the upstream reported, no longer a bound. */
  readonly inputReported: boolean;
}

export interface HoldQuestion {
  readonly bounds: Bounds;
  readonly stream: boolean;
  readonly balanceNanos: Nanos;
  /** Sum of all holds of the wallet. */
  readonly heldNanos: Nanos;
  /** Open requests that cost money. */
  readonly openMetered: number;
  /** What windows of tokens leave for it; absent: none limits it. */
  readonly tokensLeft?: number;
}

/** `spent`: the balance is too small for it. `held`: own requests in flight hold what it needs. */
export type HoldDecision =
  | { readonly do: 'hold'; readonly hold: Hold }
  | {
      readonly do: 'spent' | 'held';
      readonly neededNanos: Nanos;
      /** What it would need as a stream; less than `neededNanos` for many a JSON request. */
      readonly neededAsStreamNanos: Nanos;
      readonly availableNanos: Nanos;
    };

/** Whether a metered request may run, and what is set aside for it. */
export function decideHold(question: HoldQuestion): HoldDecision {
  const { bounds, stream, balanceNanos, heldNanos, openMetered, tokensLeft = Infinity } = question;
  const availableNanos = subtractNanos(balanceNanos, heldNanos);
  const { inputNanos, toolsNanos, outputTokensMax } = bounds;
  const afterInputNanos = subtractNanos(availableNanos, addNanos(inputNanos, toolsNanos));
  // One whole answer has no slices: all of its output is held from the start.
  const tokens = stream ? sliceTokens(bounds, afterInputNanos, tokensLeft) : outputTokensMax;
  const outputNanos = outputNanosOf(tokens, bounds.outputPicosPerToken);
  const held = { outputNanos, heldOutputTokensUpTo: tokens, inputReported: false };
  if (afterInputNanos >= outputNanos) {
    return { do: 'hold', hold: { inputNanos, toolsNanos, ...held, all: false } };
  }
  // Too little for more than the smallest slice, so `tokens` is just that.
  const neededNanos = addNanos(bounds.likelyInputNanos, outputNanos);
  if (openMetered === 0 && availableNanos >= neededNanos) {
    const toolsLeft = nanos(Math.min(toolsNanos, availableNanos - neededNanos));
    const inputLeft = subtractNanos(availableNanos, addNanos(toolsLeft, outputNanos));
    const parts = { inputNanos: inputLeft, toolsNanos: toolsLeft };
    return { do: 'hold', hold: { ...parts, ...held, all: true } };
  }
  return {
    do: neededNanos > balanceNanos ? 'spent' : 'held',
    neededNanos,
    neededAsStreamNanos: leastHold(bounds, true).neededNanos,
    availableNanos,
  };
}

/** The least that a request takes: to begin alone, and beside others. */
export interface LeastHold {
  readonly outputTokens: number;
  /** L and the smallest S. */
  readonly neededNanos: Nanos;
  /** U and the smallest S. */
  readonly holdNanos: Nanos;
}

/** What limits are asked for before the balance is: the slice grows only into what is left. */
export function leastHold(bounds: Bounds, stream: boolean): LeastHold {
  const { outputTokensMax, inputNanos, toolsNanos, likelyInputNanos } = bounds;
  const outputTokens = stream ? Math.min(SLICE_TOKENS_MIN, outputTokensMax) : outputTokensMax;
  const outputNanos = outputNanosOf(outputTokens, bounds.outputPicosPerToken);
  return {
    outputTokens,
    neededNanos: addNanos(likelyInputNanos, outputNanos),
    holdNanos: addNanos(inputNanos, toolsNanos, outputNanos),
  };
}

/** S in tokens, when `afterInputNanos` and, for the whole request, `tokensLeft` are left. */
function sliceTokens(bounds: Bounds, afterInputNanos: Nanos, tokensLeft: number): number {
  const part = Math.floor(Math.max(0, afterInputNanos) / SLICE_PARTS);
  const payable = tokensFor(nanos(part), bounds.outputPicosPerToken);
  const allowed = Math.floor((tokensLeft - bounds.inputTokens) / SLICE_PARTS);
  return Math.min(bounds.outputTokensMax, Math.max(SLICE_TOKENS_MIN, Math.min(payable, allowed)));
}

/** What a hold takes from the balance: its parts, never less than the request has cost so far. */
export function holdTotal(hold: Hold, costSoFarNanos: Nanos): Nanos {
  const parts = addNanos(hold.inputNanos, hold.toolsNanos, hold.outputNanos);
  return parts < costSoFarNanos ? costSoFarNanos : parts;
}

/**
 * The hold once the upstream has said what the input costs. Later figures only raise it: server
 * tools add input while the answer runs, and a call may be overtaken.
 */
export function afterMessageStart(hold: Hold, reported: { readonly inputNanos: Nanos }): Hold {
  const isLess = hold.inputReported && reported.inputNanos < hold.inputNanos;
  const inputNanos = isLess ? hold.inputNanos : reported.inputNanos;
  return { ...hold, inputNanos, inputReported: true, all: false };
}

/**
 * Whether what the input part sets aside should be reported on at `message_start`, because it keeps
 * others out: more than an eighth of what is available beside it.
 */
export function isLargeHold(hold: Hold, availableNanos: Nanos): boolean {
  return hold.all || hold.inputNanos > availableNanos / SLICE_PARTS;
}

export type ExtendDecision =
  | { readonly do: 'grant'; readonly hold: Hold }
  | { readonly do: 'refuse' };

/**
 * Holds output up to `upToTokens`, or up to what can be paid when that is less; refused when not
 * one token more can be. `availableNanos`: balance less all holds, this one included.
 */
export function extendHold(
  hold: Hold,
  ask: {
    readonly upToTokens: number;
    readonly outputPicosPerToken: number;
    readonly availableNanos: Nanos;
  },
): ExtendDecision {
  const { upToTokens, outputPicosPerToken, availableNanos } = ask;
  if (upToTokens <= hold.heldOutputTokensUpTo) return { do: 'grant', hold };
  const budget = addNanos(hold.outputNanos, availableNanos);
  const tokens = Math.min(upToTokens, tokensFor(budget, outputPicosPerToken));
  if (tokens <= hold.heldOutputTokensUpTo) return { do: 'refuse' };
  const outputNanos = outputNanosOf(tokens, outputPicosPerToken);
  return { do: 'grant', hold: { ...hold, outputNanos, heldOutputTokensUpTo: tokens } };
}

/** The output token at which to ask for more: when 60 % of the last slice is used. */
export function nextExtensionAt(heldOutputTokensUpTo: number, sliceTokens: number): number {
  return heldOutputTokensUpTo - Math.floor((sliceTokens * 4) / 10);
}

/** Output tokens that hidden thinking may have used in `durationMs`, at the model's top speed. */
export function hiddenThinkingTokens(
  durationMs: number,
  tokensPerSecond: number = TOP_TOKENS_PER_SECOND,
): number {
  return Math.ceil((durationMs * tokensPerSecond) / SECOND_MS);
}

/** What was spent above what was set aside for it. */
export function overrunOf(spent: { readonly costNanos: Nanos; readonly boundNanos: Nanos }): Nanos {
  const { costNanos, boundNanos } = spent;
  return costNanos > boundNanos ? subtractNanos(costNanos, boundNanos) : ZERO_NANOS;
}

/**
 * Until when (Unix ms) a wallet is held at one token a byte after this request; null: its input,
 * server tools included, stayed under its bound. The caller keeps the latest.
 */
export function wariness(seen: {
  readonly trueInputNanos: Nanos;
  readonly boundInputNanos: Nanos;
  readonly now: number;
}): number | null {
  return seen.trueInputNanos > seen.boundInputNanos ? seen.now + WARY_MS : null;
}

function outputNanosOf(tokens: number, picosPerToken: number): Nanos {
  return nanosFromPicosUp(BigInt(tokens) * BigInt(picosPerToken));
}

/** The most tokens whose price, rounded up, is within `budget`; for a debt not above 0. */
function tokensFor(budget: Nanos, picosPerToken: number): number {
  if (picosPerToken === 0) return Number.MAX_SAFE_INTEGER;
  return Number((BigInt(budget) * PICOS_PER_NANO) / BigInt(picosPerToken));
}

function boundNanos(picos: bigint): Nanos {
  const whole = divideUp(picos, PICOS_PER_NANO);
  return nanos(Number(whole < BOUND_NANOS_MAX ? whole : BOUND_NANOS_MAX));
}

function multiplyUp(picos: bigint, factors: readonly Factor[]): bigint {
  const over = factors.reduce((product, factor) => product * BigInt(factor[0]), picos);
  const under = factors.reduce((product, factor) => product * BigInt(factor[1]), 1n);
  return divideUp(over, under);
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** Compared crosswise: a quotient would be a float. */
function higher(a: Factor, b: Factor): Factor {
  return b[0] * a[1] > a[0] * b[1] ? b : a;
}
