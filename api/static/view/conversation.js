/** The conversation as bubbles: one list item a turn, touched only when the turn has changed. */

import { unheard } from "../conversation.js";
import { byId, element, setText } from "./dom.js";

const NEAR_PX = 80;
const LINES_AHEAD_PX = 56; // how much of the text to come stays in view below the words being heard

/** @typedef {import("../conversation.js").Turn} Turn */

/** @param {Turn} turn @returns {string} what is still to come, shown lighter; nothing once the turn is over */
function pendingText(turn) {
  if (turn.state !== "thinking" && turn.state !== "speaking") return "";
  const rest = unheard(turn.full, turn.heard);
  return turn.heard && rest && !/^\s/.test(rest) && !/\s$/.test(turn.heard) ? ` ${rest}` : rest;
}

/** @param {Turn} turn */
function markOf(turn) {
  if (turn.state === "interrupted") return turn.heard ? "Interrupted" : "Interrupted before a word was heard";
  if (turn.state === "failed" && turn.error) return `${turn.error.title} ${turn.error.hint}`;
  return "";
}

class TurnView {
  #drawn = "";

  /** @param {Turn} turn */
  constructor(turn) {
    this.turn = turn;
    this.tag = element("span", { class: "tag" }, "Say exactly");
    this.person = element("p", { class: "text" });
    this.heard = element("span", { class: "heard" });
    this.pending = element("span", { class: "pending" });
    this.dots = element("span", { class: "dots", role: "img", "aria-label": "thinking" }, element("i"), element("i"), element("i"));
    this.avatar = element("p", { class: "text" }, this.heard, this.pending, this.dots);
    this.mark = element("p", { class: "mark" });
    this.answer = element("div", { class: "bubble avatar" }, element("span", { class: "unseen" }, "Avatar:"), this.avatar);
    this.node = element("li", { class: "turn" },
      element("div", { class: "bubble person" }, element("span", { class: "unseen" }, "You:"), this.tag, this.person),
      this.answer, this.mark);
  }

  render() {
    const { generation, kind, person, heard, state } = this.turn;
    const pending = pendingText(this.turn);
    const mark = markOf(this.turn);
    const drawn = JSON.stringify([generation, kind, person, heard, pending, state, mark]);
    if (drawn === this.#drawn) return false;
    this.#drawn = drawn;
    Object.assign(this.node.dataset, { state, generation: String(generation ?? ""), kind: kind ?? "" });
    this.tag.hidden = kind !== "say";
    setText(this.person, person);
    setText(this.heard, heard);
    setText(this.pending, pending);
    this.dots.hidden = state !== "thinking" || Boolean(heard || pending);
    this.node.toggleAttribute("data-spoken", this.turn.spoken);
    this.answer.hidden = !heard && !pending && this.dots.hidden;
    this.mark.hidden = !mark;
    setText(this.mark, mark);
    return true;
  }
}

export class ConversationView {
  /** @type {Map<string, TurnView>} */ #views = new Map();
  #placedAt = 0;

  /** @param {Turn[]} turns */
  render(turns) {
    const log = byId("log");
    const fromTheEnd = log.scrollHeight - log.scrollTop - log.clientHeight;
    const following = Math.min(fromTheEnd, Math.abs(log.scrollTop - this.#placedAt)) < NEAR_PX;
    byId("welcome").hidden = turns.length > 0;
    const wanted = new Set(turns.map((turn) => turn.key));
    for (const [key, view] of this.#views) {
      if (wanted.has(key) && turns.includes(view.turn)) continue;
      view.node.remove();
      this.#views.delete(key);
    }
    let changed = false;
    let added = false;
    for (const turn of turns) {
      let view = this.#views.get(turn.key);
      if (!view) {
        view = new TurnView(turn);
        this.#views.set(turn.key, view);
        byId("turns").append(view.node);
        added = true;
      }
      changed = view.render() || changed;
    }
    if (added || (changed && following)) this.#place(log, turns.at(-1));
  }

  /** Shows the end; of a long answer, the words that are being heard. @param {HTMLElement} log @param {Turn | undefined} last */
  #place(log, last) {
    const view = last && this.#views.get(last.key);
    let beyond = 0;
    if (view?.pending.textContent) {
      const reading = view.heard.getClientRects();
      const at = reading.length ? reading[reading.length - 1].bottom : view.avatar.getBoundingClientRect().top;
      beyond = Math.max(0, view.answer.getBoundingClientRect().bottom - at - LINES_AHEAD_PX);
    }
    log.scrollTop = log.scrollHeight - log.clientHeight - beyond;
    this.#placedAt = log.scrollTop;
  }
}
