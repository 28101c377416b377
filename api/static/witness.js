/**
 * What this browser itself heard and saw of a turn's beginning, told to the server once.
 *
 *     line sent, or words recognised ── arm ──> … speech.started … speech.media_started …
 *          first sound    the received sound becomes audible                       (heard.js)
 *          first picture  the first one shown that is not older than the picture that the server named (frames.js)
 *     ── both there, or one of them and LATEST_MS ──> POST …/turns/{generation}/seen
 */

import * as api from "./api.js";
import { ServerClock } from "./clock.js";
import { ShownFrames, firstFrom } from "./frames.js";
import { HeardClock } from "./heard.js";

const LATEST_MS = 2_500; // after the server has sent the first packet

/** @typedef {{armedMs: number, generation: number | null, timestamp: number, heardMs: number | null, seenMs: number | null,
 *   delay: Promise<[number, number]>, heardAt?: number, seenAt?: number}} Sighting  `…Ms`: of `performance.now()`; `…At`: by the server's clock */

export class Witness {
  /** @type {Sighting | null} */ sighting = null;
  #heard = new HeardClock();
  #clock = new ServerClock();
  /** @type {RTCPeerConnection | null} */ #pc = null;
  /** @type {string} */ #sessionId = "";
  /** @type {number | undefined} */ #timer;

  /** @param {HTMLVideoElement} video @param {() => void} onChange */
  constructor(video, onChange) {
    this.onChange = onChange;
    this.frames = new ShownFrames(video, () => this.#look());
  }

  /** @param {string} sessionId @param {RTCPeerConnection} pc connected */
  attend(sessionId, pc) {
    this.#sessionId = sessionId;
    this.#pc = pc;
    this.#heard.listenTo(new MediaStream(pc.getReceivers().map(({ track }) => track)));
    void this.#clock.at(0).catch(() => {});
  }

  leave() {
    this.#done();
    this.#heard.close();
    this.sighting = this.#pc = null;
  }

  /** A turn is about to begin: its first sound and picture are waited for. */
  arm() {
    this.#done();
    if (!this.#pc) return;
    /** @type {Sighting} */
    const sighting = { armedMs: performance.now(), generation: null, timestamp: 0, heardMs: null, seenMs: null, delay: this.#delay() };
    this.sighting = sighting;
    this.frames.watch();
    this.#heard.arm((heardMs) => {
      sighting.heardMs = heardMs;
      this.onChange();
      this.#look();
    });
  }

  /** @param {string} name @param {any} data of an event of a turn that is not history */
  apply(name, data) {
    if (name === "speech.started") {
      if (!this.sighting || this.sighting.generation !== null) this.arm(); // it was asked for elsewhere
      if (this.sighting) this.sighting.generation = data.generation;
    } else if (name === "speech.media_started" && this.sighting && this.sighting.generation === data.generation) {
      this.sighting.timestamp = data.video_timestamp ?? 0;
      const { sighting } = this;
      this.#timer = setTimeout(() => void this.#report(sighting), LATEST_MS);
      this.#look();
    }
  }

  /** What was heard and seen of this turn, ms since its zero. @param {import("./waterfall.js").Timing | null} timing @returns {import("./waterfall.js").Here} */
  of(timing) {
    const { sighting } = this;
    if (!timing || !sighting || sighting.generation !== timing.generation) return { heardMs: null, seenMs: null };
    const zeroAt = timing.speech_ended_at;
    if (zeroAt === undefined) return { heardMs: sighting.heardMs && sighting.heardMs - sighting.armedMs, seenMs: null }; // since send was pressed
    const sinceZero = (/** @type {number | undefined} */ at) => (at === undefined ? null : (at - zeroAt) * 1000);
    return { heardMs: sinceZero(sighting.heardAt), seenMs: sinceZero(sighting.seenAt) };
  }

  #look() {
    const { sighting } = this;
    if (!sighting) return;
    if (sighting.timestamp && sighting.seenMs === null) {
      sighting.seenMs = firstFrom(this.frames.frames, sighting.timestamp)?.atMs ?? null;
      if (sighting.seenMs !== null) this.onChange();
    }
    if (sighting.generation !== null && sighting.heardMs !== null && sighting.seenMs !== null) void this.#report(sighting);
  }

  #done() {
    clearTimeout(this.#timer);
    this.frames.rest();
  }

  /** @param {Sighting} sighting */
  async #report(sighting) {
    if (sighting === this.sighting) this.#done();
    const { generation, heardMs, seenMs, armedMs } = sighting;
    if (generation === null || (heardMs === null && seenMs === null) || sighting.heardAt || sighting.seenAt) return;
    try {
      const origin = await this.#clock.at(0);
      if (heardMs !== null) sighting.heardAt = origin + heardMs / 1000;
      if (seenMs !== null) sighting.seenAt = origin + Math.max(seenMs, armedMs) / 1000;
      const [delayBefore, countBefore] = await sighting.delay;
      const [delay, count] = await this.#delay();
      /** @type {api.Seen} */
      const seen = { first_sound_at: sighting.heardAt, first_frame_at: sighting.seenAt };
      if (count > countBefore) seen.jitter_buffer_ms = ((delay - delayBefore) / (count - countBefore)) * 1000;
      this.onChange();
      if (sighting !== this.sighting) return; // a later turn has begun, or the session is over: it comes too late
      await api.seen(this.#sessionId, generation, seen);
    } catch {
      // the figures are lost; the conversation is not about them
    }
  }

  /** What the sound waited in the jitter buffer so far: seconds in all, and of how many samples. @returns {Promise<[number, number]>} */
  async #delay() {
    for (const one of (await this.#pc?.getStats())?.values() ?? []) {
      if (one.type === "inbound-rtp" && one.kind === "audio") return [one.jitterBufferDelay ?? 0, one.jitterBufferEmittedCount ?? 0];
    }
    return [0, 0];
  }
}
