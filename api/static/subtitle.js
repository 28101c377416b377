/**
 * A fragment as subtitles: pages of at most two lines, each shown for its share of the fragment's sound, so that a long
 * sentence never covers the mouth that speaks it.
 */

const TWO_LINES = 80; // columns; a Chinese character takes two
const MS_PER_COLUMN = 62; // an unhurried voice, where the server does not know the duration yet
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60]/u;
const UNITS = new RegExp(`${WIDE.source}|(?:(?!${WIDE.source})\\S)+\\s*|\\s+`, "gu"); // words with the space after them, single wide characters

/** @typedef {{text: string, atMs: number}} Page  `atMs` after the fragment's first sound */

/** @param {string} text */
export const columns = (text) => [...text].reduce((sum, character) => sum + (WIDE.test(character) ? 2 : 1), 0);

/** Evenly filled, cut between words. @param {string} text @returns {string[]} */
export function pages(text) {
  const count = Math.max(1, Math.ceil(columns(text) / TWO_LINES));
  const each = columns(text) / count;
  const cut = [""];
  for (const unit of text.match(UNITS) ?? []) {
    const last = cut.length - 1;
    const full = columns(cut[last]) + columns(unit.trimEnd()) / 2 > each;
    if (cut[last] && full && cut.length < count) cut.push(unit);
    else cut[last] += unit;
  }
  return cut.map((page) => page.trim());
}

/** The moments at which pages come up, in ms after the first sound. @param {string} text @param {number} [durationMs] @returns {Page[]} */
export function schedule(text, durationMs) {
  const all = columns(text);
  const total = durationMs ?? all * MS_PER_COLUMN;
  let before = 0;
  return pages(text).map((page) => {
    const atMs = before === 0 ? 0 : (before / all) * total;
    before += columns(page);
    return { text: page, atMs };
  });
}
