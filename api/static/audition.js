/**
 * How a voice sounds, before anybody talks with it: one sample at a time.
 *
 *     silent ── hear ──> loading ──> playing ── its end, `stop`, or the same again ──> silent
 *                  ^        │           │
 *                  └────────┴─ another ─┘        a sample that comes too late is not played
 */

import * as api from "./api.js";

export class Audition {
  /** @type {"silent" | "loading" | "playing"} */ state = "silent";
  key = ""; // whose sample it is
  /** @type {api.ApiError | null} */ failure = null;
  #source = "";
  #abort = new AbortController();

  /** @param {HTMLAudioElement} audio @param {() => void} onChange */
  constructor(audio, onChange) {
    this.audio = audio;
    this.onChange = onChange;
    audio.addEventListener("ended", () => this.stop());
  }

  /** @param {string} key @param {import("./voices.js").Choice} choice @param {string} text */
  async hear(key, choice, text) {
    const again = this.state !== "silent" && this.key === key;
    this.stop();
    if (again) return;
    this.state = "loading";
    this.key = key;
    this.failure = null;
    const { signal } = (this.#abort = new AbortController());
    this.onChange();
    try {
      const sound = await api.previewVoice(choice, text, signal);
      if (signal.aborted) return;
      this.audio.src = this.#source = URL.createObjectURL(sound);
      await this.audio.play();
      if (signal.aborted) return;
      this.state = "playing";
      this.onChange();
    } catch (error) {
      if (signal.aborted) return;
      this.stop();
      this.failure = error instanceof api.ApiError ? error : new api.ApiError(0, "sound_blocked", String(error));
      this.onChange();
    }
  }

  /** Silence, and nothing more of what was being loaded. */
  stop() {
    this.#abort.abort();
    this.audio.pause();
    if (this.#source) URL.revokeObjectURL(this.#source);
    this.#source = "";
    this.audio.removeAttribute("src");
    this.audio.load(); // lets go of it
    if (this.state === "silent") return;
    this.state = "silent";
    this.key = "";
    this.onChange();
  }
}
