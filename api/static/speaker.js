/**
 * Whose voice the avatar has: remembered, sent with a new session, told to a session that is there.
 *
 * The server keeps a session's choice, so a reload and a restarted worker go on with it. Choices are told one after the
 * other, so that the last one counts; if the server refuses it, the last one that it accepted holds again.
 */

import * as api from "./api.js";
import * as memory from "./memory.js";

/** @typedef {import("./voices.js").Choice} Choice */

const NOT_TO_BE_HAD = new Set(["unknown_voice", "unknown_tts_provider", "tts_unavailable"]);

export class Speaker {
  /** @type {Choice} */ choice = memory.recallSpeaker();
  /** @type {Choice} what the server goes by, as far as is known */ #accepted = this.choice;
  /** @type {Promise<unknown>} */ #told = Promise.resolve();

  /** @param {() => void} onChange @param {(error: api.ApiError, sessionId: string) => void} onRefused */
  constructor(onChange, onRefused) {
    this.onChange = onChange;
    this.onRefused = onRefused;
  }

  /** From the next turn on, and for conversations to come. @param {Choice} choice @param {string | null} sessionId the session that there is */
  async choose(choice, sessionId) {
    this.#set(choice);
    if (sessionId) await this.tell(sessionId);
    else this.#accepted = choice; // nobody is there to refuse it
  }

  /** @param {string} sessionId @param {Choice} accepted what holds if it is refused; a new session was made with it */
  async tell(sessionId, accepted = this.#accepted) {
    const choice = this.choice;
    this.#accepted = accepted;
    const told = this.#told.then(() => api.chooseVoice(sessionId, choice));
    this.#told = told.catch(() => {});
    try {
      await told;
      this.#accepted = choice;
    } catch (error) {
      if (this.choice === choice) this.#set(this.#accepted);
      this.onRefused(/** @type {api.ApiError} */ (error), sessionId);
    }
  }

  /** A session that is taken up again has its own. @param {api.SessionHash} hash */
  adopt(hash) {
    this.choice = this.#accepted = { provider: hash.tts_provider ?? "", voice: hash.tts_voice ?? "" };
  }

  /** Whether a session was refused for the voice that it was to have; then the server's own is chosen. @param {api.ApiError} error @param {Choice} asked */
  forgetIfGone(error, asked) {
    if (!asked.provider || !NOT_TO_BE_HAD.has(error.code)) return false;
    this.#accepted = { provider: "", voice: "" };
    if (this.choice === asked) this.#set(this.#accepted);
    return true;
  }

  /** @param {Choice} choice */
  #set(choice) {
    this.choice = choice;
    memory.rememberSpeaker(choice);
    this.onChange();
  }
}
