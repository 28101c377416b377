/**
 * Who holds the floor: what the avatar is doing now, and the subtitle that goes with the sound.
 *
 *     listening ── line sent ──> thinking ── first sound ──> speaking ── last sound ──> listening
 *                                    │                        │  ^ somebody speaks; it was a cough
 *                                    │                        v  │
 *                                    │                       paused
 *                                    └────── interrupted ──────┴──> interrupted ── 1.6 s ──> listening
 *
 * Events of an older generation than the current turn are late news and change nothing. After a reload the feed
 * replays the whole session: `fence` names the first generation that is not history.
 */

import { schedule } from "./subtitle.js";

/** @typedef {"listening" | "thinking" | "speaking" | "paused" | "interrupted" | "error"} Stage */

const INTERRUPTED_SHOWN_MS = 1_600;
const ERROR_SHOWN_MS = 6_000;

export class Floor {
  /** @type {Stage} */ stage = "listening";
  subtitle = "";
  generation = 0;
  hearing = false; // the server hears somebody speak into the open microphone
  /** @type {number | undefined} */ #timer;
  /** @type {import("./subtitle.js").Page[]} */ #pages = []; // still to come
  /** @type {number[]} */ #pageTimers = [];
  #shownMs = 0; // of the fragment, up to #since
  #since = 0;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
  }

  /** True while there is something to stop. */
  get busy() {
    return this.stage === "thinking" || this.stage === "speaking" || this.stage === "paused";
  }

  /** @param {number} generation the first one that may change anything */
  reset(generation = 0) {
    this.generation = generation;
    this.hearing = false;
    this.#silence();
    this.#enter("listening");
  }

  /** The person's line is on its way; whatever was being said is over. */
  sent() {
    this.#silence();
    this.#enter("thinking");
  }

  /** The person pressed stop and the server has confirmed it. @param {number} [generation] */
  stopped(generation) {
    if (generation !== undefined && generation < this.generation) return;
    if (!this.busy) return;
    if (generation !== undefined) this.generation = generation; // a subtitle that is still on its way comes too late
    this.#silence();
    this.#enter("interrupted");
  }

  failed() {
    this.#silence();
    this.#enter("error");
  }

  /** @param {string} name @param {any} data */
  apply(name, data) {
    if (name === "listening") return this.#hears(data.state === "hearing");
    const generation = data.generation ?? 0;
    if (generation < this.generation) return;
    if (name === "speech.started") {
      this.generation = generation;
      this.sent();
    } else if (name === "subtitle.chunk") {
      this.#enter("speaking");
      this.#subtitle(data.text ?? "", data.duration_ms);
    } else if (name === "speech.media_started") this.#enter("speaking");
    else if (name === "speech.paused") this.#pause();
    else if (name === "speech.resumed") this.#speak();
    else if (name === "speech.interrupted") this.#over("interrupted");
    else if (name === "speech.ended") this.#over(data.interrupted ? "interrupted" : "listening");
    else if (name === "status") this.#status(data.stage);
    else if (name === "error" && data.generation !== undefined) this.failed(); // else it is not the turn's
  }

  /** @param {boolean} hearing */
  #hears(hearing) {
    this.hearing = hearing;
    this.onChange();
  }

  #pause() {
    if (this.stage !== "speaking") return;
    this.#shownMs += performance.now() - this.#since;
    this.#holdPages();
    this.#enter("paused");
  }

  #speak() {
    if (this.stage === "paused") this.#turnPages();
    this.#enter("speaking");
  }

  /** @param {string} text @param {number} [durationMs] */
  #subtitle(text, durationMs) {
    this.#silence();
    this.#pages = schedule(text, durationMs);
    this.#turnPages();
  }

  /** Each page at its moment of the sound, from where the sound is now. */
  #turnPages() {
    this.#since = performance.now();
    for (const page of this.#pages) {
      const show = () => {
        this.#pages = this.#pages.filter((later) => later !== page);
        this.subtitle = page.text;
        this.onChange();
      };
      if (page.atMs <= this.#shownMs) show();
      else this.#pageTimers.push(setTimeout(show, page.atMs - this.#shownMs));
    }
  }

  #holdPages() {
    for (const timer of this.#pageTimers.splice(0)) clearTimeout(timer);
  }

  #silence() {
    this.#holdPages();
    this.#pages = [];
    this.#shownMs = 0;
    this.subtitle = "";
  }

  /** @param {string} stage */
  #status(stage) {
    if (stage === "paused") this.#pause();
    else if (stage === "speaking") this.#speak();
    else if (stage === "thinking") this.#enter(stage);
    else if (stage === "interrupted" || stage === "error") this.#over(stage);
    else if (stage === "idle" || stage === "listening") this.#over("listening");
  }

  /** @param {Stage} stage */
  #over(stage) {
    this.#silence();
    // What went wrong or was cut short stays readable for a moment before "listening" takes its place.
    const lingering = this.stage === "error" || (this.stage === "interrupted" && stage === "listening");
    if (lingering) this.onChange();
    else this.#enter(stage);
  }

  /** @param {Stage} stage */
  #enter(stage) {
    clearTimeout(this.#timer);
    this.stage = stage;
    const shown = stage === "interrupted" ? INTERRUPTED_SHOWN_MS : stage === "error" ? ERROR_SHOWN_MS : 0;
    if (shown) this.#timer = setTimeout(() => this.#enter("listening"), shown);
    this.onChange();
  }
}
