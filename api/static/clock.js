/** The server's clock as this browser sees it: moments measured here, told in the server's Unix time. */

import * as api from "./api.js";

const QUESTIONS = 5;
const GOOD_FOR_MS = 120_000; // two clocks drift apart by less than 10 ms in that time

export class ServerClock {
  /** @type {Promise<number> | null} */ #offset = null;
  #measuredAt = -Infinity;

  /** @param {() => Promise<{now: number}>} ask the server's Unix time in seconds @param {() => number} now this page's, ms */
  constructor(ask = api.clock, now = () => performance.now()) {
    this.ask = ask;
    this.now = now;
  }

  /** @param {number} ms a moment of `performance.now()` @returns {Promise<number>} Unix seconds by the server's clock */
  async at(ms) {
    if (!this.#offset || this.now() - this.#measuredAt > GOOD_FOR_MS) {
      this.#measuredAt = this.now();
      this.#offset = this.#measure();
      this.#offset.catch(() => (this.#offset = null));
    }
    return ms / 1000 + (await this.#offset);
  }

  /** What to add to this page's seconds: by the quickest of a few answers, whose time on the way is known best. */
  async #measure() {
    let quickest = Infinity;
    let offset = 0;
    for (let question = 0; question < QUESTIONS; question += 1) {
      const asked = this.now();
      const { now } = await this.ask();
      const took = this.now() - asked;
      if (took < quickest) [quickest, offset] = [took, now - (asked + took / 2) / 1000];
    }
    return offset;
  }
}
