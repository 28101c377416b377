/**
 * Who holds the floor: what the avatar is doing now, and the subtitle that goes with the sound.
 *
 *     listening ── line sent ──> thinking ── first sound ──> speaking ── last sound ──> listening
 *                                    └────── interrupted ──────┴──> interrupted ── 1.6 s ──> listening
 *
 * Events of an older generation than the current turn are late news and change nothing. After a reload the feed
 * replays the whole session: `fence` names the first generation that is not history.
 */

import { schedule } from "./subtitle.js";

/** @typedef {"listening" | "thinking" | "speaking" | "interrupted" | "error"} Stage */

const INTERRUPTED_SHOWN_MS = 1_600;
const ERROR_SHOWN_MS = 6_000;

export class Floor {
  /** @type {Stage} */ stage = "listening";
  subtitle = "";
  generation = 0;
  /** @type {number | undefined} */ #timer;
  /** @type {number[]} */ #pages = [];

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
  }

  /** True while there is something to stop. */
  get busy() {
    return this.stage === "thinking" || this.stage === "speaking";
  }

  /** @param {number} generation the first one that may change anything */
  reset(generation = 0) {
    this.generation = generation;
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
    const generation = data.generation ?? 0;
    if (generation < this.generation) return;
    if (name === "speech.started") {
      this.generation = generation;
      this.sent();
    } else if (name === "subtitle.chunk") {
      this.#enter("speaking");
      this.#subtitle(data.text ?? "", data.duration_ms);
    } else if (name === "speech.media_started") this.#enter("speaking");
    else if (name === "speech.ended") this.#over(data.interrupted ? "interrupted" : "listening");
    else if (name === "status") this.#status(data.stage);
    else if (name === "error") this.failed();
  }

  /** @param {string} text @param {number} [durationMs] */
  #subtitle(text, durationMs) {
    this.#silence();
    for (const page of schedule(text, durationMs)) {
      const show = () => {
        this.subtitle = page.text;
        this.onChange();
      };
      if (page.atMs === 0) show();
      else this.#pages.push(setTimeout(show, page.atMs));
    }
  }

  #silence() {
    for (const page of this.#pages.splice(0)) clearTimeout(page);
    this.subtitle = "";
  }

  /** @param {string} stage */
  #status(stage) {
    if (stage === "thinking" || stage === "speaking") this.#enter(stage);
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
