// The Live object, one for all: the sockets of those who watch the relay. It passes on what
// isolates tell, says to the Pool whether anybody watches, and closes the sockets of those who no
// longer may. It stores nothing: while nothing happens it sleeps, and its sockets stay open.

import { DurableObject } from 'cloudflare:workers';
import type { LiveMessage, LivePort, Viewer } from '../domain/live';
import { MINUTE_MS, SECOND_MS } from '../domain/time';
import { causeOf, log } from '../observe/log';
import { poolOf } from '../platform/objects';
import { stillAllowed } from '../store/live-viewers';

/** Sockets at a time. */
const VIEWERS_MAX = 100;
/** How often viewers are checked, and the Pool is told that there are some. */
const EVERY_MS = 30 * SECOND_MS;
/** Isolates stop by themselves when nothing is said for this long. */
const LIVE_FOR_MS = 90 * SECOND_MS;
/** Who could not be checked for this long, because D1 is down, is no longer trusted. */
const UNCHECKED_MS_MAX = 5 * MINUTE_MS;

/** Codes of closing, from the range that is the application's own. */
const LOGIN_ENDED = 4401;
const POLICY_VIOLATED = 1008;

/** What a socket keeps while the object sleeps. */
interface Attachment {
  readonly viewer: Viewer;
  /** Unix ms at which D1 last said that this viewer may watch. */
  readonly checkedAt: number;
}

export class LiveObject extends DurableObject<Env> implements LivePort {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // Answered by the runtime, without waking the object.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
  }

  /** Opens a socket for the viewer that the control plane names; 503 when there are too many. */
  override async fetch(request: Request): Promise<Response> {
    if (this.#sockets().length >= VIEWERS_MAX) return new Response(null, { status: 503 });
    const { 0: client, 1: socket } = new WebSocketPair();
    const now = Date.now();
    this.ctx.acceptWebSocket(socket);
    // Nobody else reaches this object.
    keep(socket, {
      viewer: JSON.parse(request.headers.get('viewer') ?? '') as Viewer,
      checkedAt: now,
    });
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(now + EVERY_MS);
    }
    this.ctx.waitUntil(this.#sayLive(now + LIVE_FOR_MS));
    return new Response(null, { status: 101, webSocket: client });
  }

  async tell(message: LiveMessage): Promise<void> {
    const text = JSON.stringify(message);
    for (const socket of this.#sockets()) {
      try {
        socket.send(text);
      } catch {
        // Closed meanwhile.
      }
    }
  }

  /** Viewers only look. */
  override webSocketMessage(socket: WebSocket): void {
    socket.close(POLICY_VIOLATED, 'There is nothing to be said here.');
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    await this.#left(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#left(socket);
  }

  async #left(socket: WebSocket): Promise<void> {
    if (this.#sockets().some((other) => other !== socket)) return;
    await this.ctx.storage.deleteAlarm();
    await this.#sayLive(null);
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    await this.#check(now);
    const isWatched = this.#sockets().length > 0;
    if (isWatched) await this.ctx.storage.setAlarm(now + EVERY_MS);
    await this.#sayLive(isWatched ? now + LIVE_FOR_MS : null);
  }

  /** Closes the sockets of ended logins, lost roles and revoked tokens. */
  async #check(now: number): Promise<void> {
    const sockets = this.#sockets().map((socket) => ({ socket, ...attachmentOf(socket) }));
    const allowed = await stillAllowed(
      this.env.DB,
      sockets.map(({ viewer }) => viewer),
      now,
    ).catch((error: unknown) => {
      log('live-unchecked', { error: causeOf(error) });
      return null;
    });
    for (const { socket, viewer, checkedAt } of sockets) {
      const id = viewer.kind === 'person' ? viewer.sessionId : viewer.tokenId;
      if (allowed?.has(id)) keep(socket, { viewer, checkedAt: now });
      else if (allowed !== null || checkedAt < now - UNCHECKED_MS_MAX) {
        socket.close(LOGIN_ENDED, 'This login has ended.');
      }
    }
  }

  async #sayLive(until: number | null): Promise<void> {
    try {
      await poolOf(this.env).setLive(until);
    } catch (error) {
      // Said again by the next alarm; an end that is lost comes by itself.
      log('live-unsaid', { error: String(error) });
    }
  }

  /** Those that are open: one that is closing is still counted by the runtime. */
  #sockets(): WebSocket[] {
    return this.ctx.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN);
  }
}

function keep(socket: WebSocket, attachment: Attachment): void {
  socket.serializeAttachment(attachment);
}

/** Written by `keep` alone. */
function attachmentOf(socket: WebSocket): Attachment {
  return socket.deserializeAttachment() as Attachment;
}
