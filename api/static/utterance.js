/**
 * One utterance over the WebSocket, from the press to the release: what was said in it becomes a turn.
 *
 *     config ── [interrupt] ── PCM … ── eos ── … ──> {text, generation}, or a typed error
 *
 * Sound is kept until the socket is open, and until it is certain that this is more than a slip of the finger: the socket
 * of a slip is closed without a sample in it.
 */

import { ApiError } from "./api.js";

const SHORTEST = 16_000 * 2 * 0.3; // bytes: 0.3 s
const LONGEST_UNSENT = 16_000 * 2 * 20; // bytes; a server that takes no more for so long takes none

/** What a close without a message means. @type {Record<number, string>} */
const CLOSED = { 4004: "session_not_found", 4400: "speech_empty", 4408: "stt_timeout", 4409: "microphone_busy", 4503: "stt_unavailable" };

export class Utterance {
  /** @type {ArrayBuffer[]} */ #kept = [];
  #bytes = 0;
  #accepted = false;
  #ended = false;
  #slip = false;

  /** @type {WebSocket | null} */ #socket = null;

  /**
   * @param {string} url
   * @param {boolean} interrupts whether the avatar is speaking and must fall silent
   * @param {Promise<unknown>} before the utterance before this one; the server takes one at a time
   */
  constructor(url, interrupts, before) {
    /** @type {Promise<{text: string, generation?: number} | null>} null for a slip of the finger */
    this.result = before.then(() => this.#exchange(url, interrupts));
  }

  /** @param {string} url @param {boolean} interrupts @returns {Promise<{text: string, generation?: number} | null>} */
  #exchange(url, interrupts) {
    if (this.#slip) return Promise.resolve(null);
    const socket = (this.#socket = new WebSocket(url));
    return new Promise((resolve, reject) => {
      socket.addEventListener("open", () => {
        this.#send({ type: "config" });
        if (interrupts) this.#send({ type: "interrupt" });
      });
      socket.addEventListener("message", ({ data }) => {
        const told = JSON.parse(data);
        if (told.type === "ack" && told.of === "config") this.#begin();
        else if (told.type === "error") reject(new ApiError(told.code === "session_not_found" ? 404 : 400, told.code, told.message ?? ""));
        else if (told.type !== "ack") resolve(told);
      });
      socket.addEventListener("close", ({ code }) => {
        if (this.#slip) resolve(null);
        else reject(new ApiError(0, CLOSED[code] ?? "unreachable", ""));
      });
    });
  }

  /** @param {ArrayBuffer} pcm s16le, 16 kHz, mono */
  write(pcm) {
    if (this.#ended || (this.#socket?.bufferedAmount ?? this.#bytes) > LONGEST_UNSENT) return;
    this.#bytes += pcm.byteLength;
    this.#kept.push(pcm);
    this.#flush();
  }

  /** The person has said it all. */
  end() {
    if (this.#ended) return;
    this.#ended = true;
    this.#slip = this.#bytes < SHORTEST;
    this.#flush();
  }

  /** Drops it, whatever has become of it. */
  abandon() {
    this.#ended = this.#slip = true;
    this.#socket?.close();
  }

  #begin() {
    this.#accepted = true;
    this.#flush();
  }

  #flush() {
    const socket = this.#socket;
    if (!socket || !this.#accepted) return;
    if (this.#slip) return socket.close();
    if (this.#bytes < SHORTEST) return;
    for (const pcm of this.#kept.splice(0)) socket.send(pcm);
    if (this.#ended) this.#send({ type: "eos" });
  }

  /** @param {object} frame */
  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }
}
