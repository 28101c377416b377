/**
 * The session's event feed: Server-Sent Events, each one delivered once and in order.
 *
 * The browser reconnects a cut stream itself and sends `Last-Event-ID`. It gives up for good when the server answers
 * anything but 200 (a restart behind a proxy): then this feed opens a new stream from the last id it has seen.
 */

import { eventsUrl } from "./api.js";

/** Every event name the page listens to; a browser only delivers names that were asked for. */
const NAMES = [
  "transcript", "listening", "speech.started", "speech.media_started", "speech.paused", "speech.resumed",
  "speech.interrupted", "speech.ended", "speech.timing", "subtitle.chunk", "assistant.message",
  "session.queued", "session.state_changed", "session.peer", "session.avatar", "session.terminated", "llm", "tts", "status", "error",
];
const REOPEN_AFTER_MS = 1_000;

/** Whether stream id `a` ("milliseconds-sequence") is not newer than `b`. @param {string} a @param {string} b */
export function notAfter(a, b) {
  const [aMs, aSeq = 0] = a.split("-").map(Number);
  const [bMs, bSeq = 0] = b.split("-").map(Number);
  return aMs < bMs || (aMs === bMs && aSeq <= bSeq);
}

export class EventFeed {
  #lastId = "0";
  /** @type {EventSource | null} */ #source = null;
  /** @type {number | undefined} */ #timer;

  /**
   * @param {string} sessionId
   * @param {(name: string, data: any) => void} onEvent
   * @param {() => void} onRefused called each time the server refuses the stream; the caller finds out why
   */
  constructor(sessionId, onEvent, onRefused) {
    this.sessionId = sessionId;
    this.onEvent = onEvent;
    this.onRefused = onRefused;
    this.#open();
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    const source = new EventSource(eventsUrl(this.sessionId, this.#lastId));
    this.#source = source;
    for (const name of NAMES) {
      source.addEventListener(name, (event) => {
        // The server's own "error" events arrive under the same name as the browser's connection errors.
        if (event instanceof MessageEvent) this.#deliver(name, event);
        else if (source.readyState === EventSource.CLOSED) this.#refused();
      });
    }
  }

  /** @param {string} name @param {MessageEvent<string>} event */
  #deliver(name, event) {
    if (!this.#source) return;
    if (event.lastEventId) {
      if (notAfter(event.lastEventId, this.#lastId)) return;
      this.#lastId = event.lastEventId;
    }
    this.onEvent(name, JSON.parse(event.data || "{}"));
  }

  #refused() {
    if (!this.#source) return;
    this.#timer = setTimeout(() => this.#open(), REOPEN_AFTER_MS);
    this.onRefused();
  }
}
