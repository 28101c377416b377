/**
 * The conversation as a list of turns, rebuilt from the session's events alone; so a reload replays into the same list.
 *
 * A turn is one line of the person and what the avatar made of it. A spoken line grows while it is said (`hearing`) and is
 * final when it is `sending`; the turn that then starts takes it over. `heard` follows the sound (subtitle by subtitle),
 * `full` is everything that is going to be said as far as it is known; the difference is shown lighter.
 */

/**
 * @typedef {"ask" | "say"} Kind
 * @typedef {"hearing" | "sending" | "thinking" | "speaking" | "done" | "interrupted" | "failed"} TurnState
 * @typedef {{key: string, generation: number | null, kind: Kind | null, person: string, spoken: boolean, full: string, heard: string,
 *   state: TurnState, error: import("./words.js").Words | null}} Turn
 */

import { explain } from "./words.js";

const WORD_CHARACTER = /[\p{L}\p{N}]/u;
const WRITTEN_WITHOUT_SPACES = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}。！？、，；：]$/u;
const MARKUP_BETWEEN_WORDS = 80; // how far ahead a heard character may be found in the written text

/** Joins two fragments with a space where the language has one. @param {string} heard @param {string} fragment */
export function join(heard, fragment) {
  const apart = !heard || /\s$/.test(heard) || /^\s/.test(fragment) || WRITTEN_WITHOUT_SPACES.test(heard);
  return apart ? heard + fragment : `${heard} ${fragment}`;
}

/**
 * What of `full` has not been heard yet. The voice leaves out markup and emoji, so only letters and digits are matched.
 * @param {string} full @param {string} heard
 */
export function unheard(full, heard) {
  let position = 0;
  for (const character of heard) {
    if (!WORD_CHARACTER.test(character)) continue;
    const found = full.indexOf(character, position);
    if (found !== -1 && found - position <= MARKUP_BETWEEN_WORDS) position = found + character.length;
  }
  const rest = full.slice(position);
  return heard ? rest.replace(/^[^\s\p{L}\p{N}]+/u, "") : rest;
}

export class Conversation {
  /** @type {Turn[]} */ turns = [];
  #sessions = 0;
  #locals = 0;

  /** A new session: earlier turns stay readable, but generations start anew. */
  newSession() {
    this.#sessions += 1;
    for (const turn of this.turns) if (turn.generation !== null) turn.generation = -1;
  }

  /** The session is gone: nothing more will be heard of what was being said. */
  over() {
    this.unsaid();
    for (const turn of this.turns) if (turn.state === "thinking" || turn.state === "speaking") turn.state = "interrupted";
  }

  /** Only the lines that the server has not seen yet. */
  unsent() {
    const fresh = new Conversation();
    fresh.turns = this.turns.filter((turn) => turn.state === "sending" && !turn.spoken);
    fresh.#locals = this.#locals;
    return fresh;
  }

  /** The person's line before the server has answered. @param {Kind} kind @param {string} text @returns {Turn} */
  sent(kind, text) {
    return this.#add(`local-${(this.#locals += 1)}`, null, kind, text, "sending");
  }

  /** What was being heard was nothing: a cough, "uh-huh", an echo, a slip. */
  unsaid() {
    this.turns = this.turns.filter((turn) => turn.state !== "hearing");
  }

  /** @param {Turn} turn @param {import("./words.js").Words} words */
  failed(turn, words) {
    turn.state = "failed";
    turn.error = words;
  }

  /** @param {string} name @param {any} data */
  apply(name, data) {
    if (name === "transcript") return this.#recognised(data.text ?? "", data.is_final);
    const nothing = name === "speech.resumed" || (name === "listening" && data.state === "off") || name === "error";
    if (nothing) this.unsaid();
    if (!Number.isInteger(data.generation) || data.generation < 0) return;
    if (name === "speech.started") this.#started(data);
    const turn = this.turns.findLast((candidate) => candidate.generation === data.generation);
    if (!turn) return;
    if (name === "llm") this.#written(turn, data.delta ?? "");
    else if (name === "subtitle.chunk") this.#heard(turn, data.text ?? "");
    else if (name === "speech.ended") this.#ended(turn, data);
    else if (name === "speech.timing") turn.kind ??= data.kind === "speak" ? "say" : "ask";
    else if (name === "error") this.failed(turn, explain(data));
  }

  /** @param {string} text @param {boolean} isFinal */
  #recognised(text, isFinal) {
    const last = this.turns.findLast((turn) => turn.state === "hearing");
    if (!text.trim()) return isFinal ? this.unsaid() : undefined;
    const turn = last ?? this.#add(`said-${(this.#locals += 1)}`, null, "ask", text, "hearing", true);
    turn.person = text;
    if (isFinal) turn.state = "sending";
  }

  /** @param {any} data */
  #started(data) {
    const text = data.text ?? "";
    const kind = data.kind === "speak" ? "say" : data.kind === "chat" ? "ask" : null;
    const waiting = this.turns.filter((turn) => turn.state === "sending" && turn.generation === null);
    const mine = waiting.find((turn) => turn.person.trim() === text.trim()) ?? (kind === "say" ? undefined : waiting.findLast((turn) => turn.spoken));
    if (mine?.spoken) mine.person = text; // as the model was asked
    for (const turn of waiting) {
      if (turn === mine) break;
      if (mine) turn.state = "interrupted"; // overtaken before the server began with it
    }
    const turn = mine ?? this.#add(`${this.#sessions}-${data.generation}`, null, kind, text, "thinking");
    turn.generation = data.generation;
    turn.kind ??= kind;
    turn.state = "thinking";
    if (turn.kind === "say") turn.full = text;
    for (const older of this.turns) {
      const unfinished = older.state === "thinking" || older.state === "speaking";
      if (unfinished && older.generation !== null && older.generation < data.generation) older.state = "interrupted";
    }
  }

  /** @param {Turn} turn @param {string} delta */
  #written(turn, delta) {
    turn.kind ??= "ask";
    turn.full += delta;
  }

  /** @param {Turn} turn @param {string} text */
  #heard(turn, text) {
    turn.heard = join(turn.heard, text);
    if (turn.state === "thinking" || turn.state === "sending") turn.state = "speaking";
  }

  /** @param {Turn} turn @param {any} data */
  #ended(turn, data) {
    if (data.text) turn.heard = data.text;
    if (turn.state !== "failed") turn.state = data.interrupted ? "interrupted" : "done";
  }

  /** @param {string} key @param {number | null} generation @param {Kind | null} kind @param {string} person @param {TurnState} state @returns {Turn} */
  #add(key, generation, kind, person, state, spoken = false) {
    const full = kind === "say" ? person : "";
    /** @type {Turn} */
    const turn = { key, generation, kind, person, spoken, full, heard: "", state, error: null };
    this.turns.push(turn);
    return turn;
  }
}
