/**
 * The voices: every engine as a group, every voice as a row with a button to hear it, in the place of the conversation.
 *
 * Rows are made when what is looked for changes; what they tell (in use, loading, playing) is written into them, so that
 * focus and scroll position stay.
 */

import * as api from "../api.js";
import { Audition } from "../audition.js";
import { groups, languages, sameVoice, sampleFor } from "../voices.js";
import { explain } from "../words.js";
import { byId, element, setText } from "./dom.js";
import { Panel } from "./panel.js";

/** @typedef {import("../voices.js").Choice} Choice */
/** @typedef {import("../voices.js").Row} Row */
/** @typedef {{onChoose: (choice: Choice) => void, onHear: (row: Row) => void}} Actions */

const SERVERS_OWN = { label: "The server's own voice", detail: "", language: "", choice: { provider: "", voice: "" } };
const SEARCH_FROM = 12; // voices; fewer are seen at a glance

/** @param {Choice} choice */
const keyOf = ({ provider, voice }) => `${provider}:${voice}`;

/** A round button whose picture CSS chooses by data-state. @param {string} label */
function hearButton(label) {
  const button = element("button", { class: "voice-hear", type: "button", "data-state": "silent", "aria-label": label });
  button.innerHTML = '<svg aria-hidden="true" viewBox="0 0 20 20"><path class="play" d="M7 4.6v10.8l8.6-5.4z"/><rect class="halt" x="5.6" y="5.6" width="8.8" height="8.8" rx="1.6"/></svg>';
  return button;
}

/** @param {Element} button @param {Audition} audition @param {string} key @param {string} name */
function renderHear(button, audition, key, name) {
  const state = audition.key === key ? audition.state : "silent";
  button.setAttribute("data-state", state);
  button.setAttribute("aria-label", state === "silent" ? `Hear ${name}` : `Stop ${name}`);
}

class RowView {
  /** @param {Row} row @param {Actions} actions */
  constructor(row, { onChoose, onHear }) {
    this.row = row;
    this.note = element("span", { class: "voice-note" });
    this.choose = element("button", { class: "voice-choice", type: "button" }, element("span", { class: "voice-name" }, row.label), this.note);
    this.hear = hearButton(`Hear ${row.label}`);
    this.node = element("li", { class: "voice-row", "data-voice": keyOf(row.choice) }, this.choose, this.hear);
    this.choose.addEventListener("click", () => onChoose(row.choice));
    this.hear.addEventListener("click", () => onHear(row));
  }

  /** @param {Choice} current @param {Audition} audition */
  render(current, audition) {
    const inUse = sameVoice(this.row.choice, current);
    this.node.classList.toggle("current", inUse);
    if (inUse) this.choose.setAttribute("aria-current", "true");
    else this.choose.removeAttribute("aria-current");
    setText(this.note, [this.row.detail, inUse ? "In use" : ""].filter(Boolean).join(" · "));
    renderHear(this.hear, audition, keyOf(this.row.choice), this.row.label);
  }
}

/** For an engine that knows more voices than it lists. */
class NamedView {
  /** @param {string} provider @param {Choice} current @param {boolean} listed whether the voice in use has a row @param {Actions} actions */
  constructor(provider, current, listed, { onChoose, onHear }) {
    this.provider = provider;
    this.input = /** @type {HTMLInputElement} */ (element("input", { type: "text", maxlength: "128", placeholder: "Another voice, by its id", "aria-label": "Another voice, by its id", autocapitalize: "off", spellcheck: "false", autocomplete: "off" }));
    if (current.provider === provider && !listed) this.input.value = current.voice;
    this.use = /** @type {HTMLButtonElement} */ (element("button", { class: "button plain", type: "submit" }, "Use"));
    this.hear = hearButton("Hear it");
    this.node = element("form", { class: "voice-named" }, this.input, this.use, this.hear);
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.choice.voice) onChoose(this.choice);
    });
    this.hear.addEventListener("click", () => this.choice.voice && onHear({ label: this.choice.voice, detail: "", language: "", choice: this.choice }));
  }

  get choice() {
    return { provider: this.provider, voice: this.input.value.trim() };
  }

  /** @param {Choice} current @param {Audition} audition */
  render(current, audition) {
    const inUse = Boolean(this.choice.voice) && sameVoice(this.choice, current);
    this.node.classList.toggle("current", inUse);
    setText(this.use, inUse ? "In use" : "Use");
    renderHear(this.hear, audition, keyOf(this.choice), this.choice.voice || "it");
  }
}

export class VoicesView {
  /** @type {api.VoiceEntry[]} */ #voices = [];
  /** @type {Record<string, api.EngineStatus>} */ #engines = {};
  /** @type {(RowView | NamedView)[]} */ #rows = [];
  /** @type {Set<string>} */ #whole = new Set();
  #heard = ""; // who was asked for last, for a failure's words
  /** @type {import("../words.js").Words | null} */ #trouble = null;

  /** @param {import("../speaker.js").Speaker} speaker @param {{onChoose: (choice: Choice) => void, onChange: () => void}} does */
  constructor(speaker, { onChoose, onChange }) {
    this.speaker = speaker;
    this.onChoose = onChoose;
    this.onChange = onChange;
    this.audition = new Audition(byId("voices-sound"), onChange);
    this.panel = new Panel({ panel: "voices", pill: "voices-open", title: "voices-title", close: "voices-close" }, { onOpen: () => void this.#learn(), onClose: () => this.audition.stop() });
    byId("voices-query").addEventListener("input", () => this.#look());
    byId("voices-language").addEventListener("change", () => this.#look());
    byId("voices-groups").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#walk(event));
    byId("voices-groups").addEventListener("input", () => this.onChange());
  }

  /** What there is now: a worker may have come, a key may have been set. */
  async #learn() {
    this.#trouble = null;
    try {
      const [voices, { tts = {} }] = await Promise.all([api.voices(), api.health()]);
      const changed = JSON.stringify([voices, tts]) !== JSON.stringify([this.#voices, this.#engines]);
      this.#voices = voices;
      this.#engines = tts;
      if (changed) this.#offerLanguages();
      if (changed || !this.#rows.length) this.#fill();
    } catch (error) {
      this.#trouble = explain(/** @type {api.ApiError} */ (error));
    }
    byId("voices-list").removeAttribute("aria-busy");
    this.onChange();
    document.querySelector(".voice-row.current")?.scrollIntoView({ block: "nearest" });
  }

  #offerLanguages() {
    const select = byId("voices-language");
    const before = select.value;
    const options = languages(this.#voices).map(({ code, name, count }) => element("option", { value: code }, `${name} (${count})`));
    select.replaceChildren(element("option", { value: "" }, "All languages"), ...options);
    select.value = before;
    if (select.selectedIndex < 0) select.value = "";
    byId("voices-filter").hidden = this.#voices.length < SEARCH_FROM;
  }

  #look() {
    this.#fill();
    byId("voices-list").scrollTop = 0;
  }

  #fill() {
    const filter = { query: byId("voices-query").value, language: byId("voices-language").value, whole: this.#whole };
    const current = this.speaker.choice;
    const actions = { onChoose: this.onChoose, onHear: (/** @type {Row} */ row) => this.#hear(row) };
    const found = groups(this.#voices, this.#engines, filter, current);
    this.#rows = [];
    const rowOf = (/** @type {Row} */ row) => {
      const view = new RowView(row, actions);
      this.#rows.push(view);
      return view.node;
    };
    const first = filter.query.trim() || filter.language ? [] : [element("ul", { class: "voice-rows" }, rowOf(SERVERS_OWN))];
    const drawn = found.map(({ provider, name, note, usable, anyVoice, rows, hidden }) => {
      const head = element("header", { class: "engine-head" }, element("h3", {}, name), element("p", {}, note));
      const group = element("section", { class: usable ? "engine" : "engine unusable", "aria-label": name, "data-engine": provider }, head);
      if (rows.length) group.append(element("ul", { class: "voice-rows" }, ...rows.map(rowOf)));
      if (hidden) {
        const more = element("button", { class: "button plain more-voices", type: "button" }, `Show all ${rows.length + hidden}`);
        more.addEventListener("click", () => this.#showAll(provider, rows.length));
        group.append(more);
      }
      if (anyVoice) {
        const listed = this.#voices.some((voice) => sameVoice({ provider, voice: voice.voice_id }, current)) || current.voice === "";
        const named = new NamedView(provider, current, listed, actions);
        this.#rows.push(named);
        group.append(named.node);
      }
      return group;
    });
    byId("voices-groups").replaceChildren(...first, ...drawn);
    byId("voices-none").hidden = drawn.length > 0 || first.length > 0;
    this.onChange();
  }

  /** @param {string} provider @param {number} shown so far */
  #showAll(provider, shown) {
    this.#whole.add(provider);
    this.#fill();
    /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`[data-engine="${CSS.escape(provider)}"] .voice-choice`))[shown]?.focus();
  }

  /** @param {Row} row */
  #hear({ label, language, choice }) {
    this.#trouble = null;
    this.#heard = label;
    void this.audition.hear(keyOf(choice), choice, sampleFor(language));
  }

  /** Arrows go from voice to voice. @param {KeyboardEvent} event */
  #walk(event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const row = /** @type {Element} */ (event.target).closest(".voice-row");
    if (!step || !row) return;
    event.preventDefault();
    const kind = /** @type {Element} */ (event.target).closest(".voice-hear") ? ".voice-hear" : ".voice-choice";
    const all = [...byId("voices-groups").querySelectorAll(".voice-row")];
    all[all.indexOf(row) + step]?.querySelector(kind).focus();
  }

  /** @param {import("../words.js").Words | null} notice of the conversation, which is covered */
  render(notice) {
    if (!this.panel.isOpen) return;
    const { failure } = this.audition;
    const failed = failure && explain(failure);
    const trouble = this.#trouble ?? failed ?? notice;
    const whose = !this.#trouble && failed ? `${this.#heard}: ` : "";
    byId("voices-trouble").classList.toggle("mild", trouble?.mild === true);
    setText(byId("voices-trouble"), trouble ? `${whose}${trouble.title} ${trouble.hint}` : "");
    for (const row of this.#rows) row.render(this.speaker.choice, this.audition);
  }
}
