// A stand-in for Amazon's doors to Claude: Bedrock's runtime with its event stream, its Messages
// endpoint, and Claude Platform on AWS. Called with a key, or signed.

import { bytesOf, chunkOf, exceptionOf } from './event-stream';
import type { FakeAccount, FakeKind, Fault, Room, SeenCall, Wrong } from './fake-kind';
import { demand, demandMembers, EVENTS, fakeKind, MESSAGE, nativeAnswer } from './fake-kind';
import { demandSignature } from './sigv4';

export const AWS_KEY = 'ABSKQmVkcm9ja0FQSUtleS1jYW5hcnk=';
export const SIGV4 = {
  type: 'sigv4',
  accessKeyId: 'AKIACANARYEXAMPLE000',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYCANARYKEY',
  sessionToken: 'FwoGZXIvYXdzE-canary-session',
} as const;
export const REGION = 'eu-west-1';
export const WORKSPACE = 'wrkspc_01Canary';
/** What Amazon's refusals tell of the account, and a client must not see. */
export const ARN = 'arn:aws:iam::123456789012:user/canary';

type AwsKind = 'bedrock' | 'bedrock-mantle' | 'aws';

const SERVICES = {
  bedrock: 'bedrock',
  'bedrock-mantle': 'bedrock-mantle',
  aws: 'aws-external-anthropic',
} as const;

/** A stand-in for `kind`, for calls with a key or signed ones. */
export function fakeAws(kind: AwsKind, auth: 'key' | 'sigv4' = 'sigv4'): FakeKind {
  const account: FakeAccount = {
    kind,
    credential: auth === 'key' ? AWS_KEY : JSON.stringify(SIGV4),
    fields: { region: REGION, ...(kind === 'aws' ? { workspace: WORKSPACE } : {}) },
  };
  const check = async (call: SeenCall): Promise<void> => {
    if (auth === 'key') {
      demand(call.headers.get('authorization') === `Bearer ${AWS_KEY}`, BAD_KEY, 403);
    } else {
      await demandSignature(call, { ...SIGV4, region: REGION, service: SERVICES[kind] });
    }
    demand(!call.headers.has('x-api-key'), 'two credentials');
    CHECKS[kind](call);
  };
  const answer = kind === 'bedrock' ? bedrockAnswer : nativeAnswer;
  return fakeKind({ account, check, denied, answer } satisfies Room);
}

const BAD_KEY = 'Authentication failed: Please make sure your API Key is valid.';

const CHECKS: Readonly<Record<AwsKind, (call: SeenCall) => void>> = {
  bedrock: (call) => {
    const path = /^\/model\/([^/]+)\/invoke(-with-response-stream)?$/.exec(call.url.pathname);
    demand(path !== null && call.method === 'POST', 'no such operation', 404);
    const model = decodeURIComponent(path?.[1] ?? '');
    demand(
      /^(?:[a-z-]+\.)?anthropic\.claude-/.test(model),
      'The provided model identifier is invalid.',
    );
    demandMembers(call, { model: false, stream: false, tags: false, anthropic_version: true });
    const version = call.json['anthropic_version'];
    const isVersioned = /-v\d+(:\d+)?$/.test(model);
    const isKnown = version === 'bedrock-2023-05-31' || (!isVersioned && version === '2026-10-21');
    demand(isKnown, 'anthropic_version: not known');
    const betas = call.json['anthropic_beta'] ?? [];
    const isListed = Array.isArray(betas) && !betas.includes('advanced-tool-use-2025-11-20');
    demand(isListed, 'invalid beta flag');
    demand(!call.headers.has('anthropic-beta'), 'betas stand in the body');
  },
  'bedrock-mantle': (call) => {
    demand(call.url.pathname.startsWith('/anthropic/v1/messages'), 'no such operation', 404);
    demandMembers(call, { tags: false, model: true });
    demand(String(call.json['model']).startsWith('anthropic.claude-'), 'model: not known');
  },
  aws: (call) => {
    demand(call.url.pathname.startsWith('/v1/'), 'no such operation', 404);
    demand(call.headers.get('anthropic-workspace-id') === WORKSPACE, 'no workspace', 400);
  },
};

/** AWS's words; the account is in them, as it often is. */
function denied({ status, message }: Wrong): Response {
  const isNamed = /^\w+Exception$/.test(message);
  const name = isNamed ? message : 'ValidationException';
  const text = isNamed ? `${message} for ${ARN}` : message;
  const headers = { 'x-amzn-errortype': `${name}:http://internal.amazon.com/coral/` };
  return Response.json({ message: text }, { status, headers });
}

const METRICS = { inputTokenCount: 10, outputTokenCount: 4, invocationLatency: 900 };

/** The events as Bedrock has them: the last one tells its own figures. */
export const BEDROCK_EVENTS: readonly { readonly type: string }[] = EVENTS.map((event) =>
  event.type === 'message_stop' ? { ...event, 'amazon-bedrock-invocationMetrics': METRICS } : event,
);

function bedrockAnswer(call: SeenCall, fault: Fault | null): Response {
  const headers = { 'x-amzn-requestid': 'aws-request-1', 'x-amzn-bedrock-canary': '1' };
  if (call.url.pathname.endsWith('/invoke')) return Response.json(MESSAGE, { headers });
  const frames = BEDROCK_EVENTS.map(chunkOf);
  if (fault?.kind === 'exception') {
    frames.splice(fault.at, frames.length, exceptionOf(fault.name, fault.body));
  }
  const flipped = fault?.kind === 'flip' ? frames[fault.frame] : undefined;
  if (fault?.kind === 'flip' && flipped !== undefined) {
    flipped[fault.byte] = (flipped[fault.byte] ?? 0) ^ 1;
  }
  const whole = bytesOf(frames);
  const body = fault?.kind === 'cut' ? whole.slice(0, fault.bytes) : whole;
  const type = 'application/vnd.amazon.eventstream';
  return new Response(body, { headers: { ...headers, 'content-type': type } });
}
