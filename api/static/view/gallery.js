/**
 * The gallery: all faces as cards, in the place of the conversation, so that the stage stays in view and a switch is seen.
 *
 *     closed ── the pill on the stage ──> all faces ── "Your own", or a photo dropped anywhere ──> upload
 *
 * A card is a button; one that was added can be deleted, after a question on the card itself.
 */

import * as api from "../api.js";
import { asSentence, explain } from "../words.js";
import { byId, element, setText } from "./dom.js";
import { Panel } from "./panel.js";

const STACK = 3; // pictures on the pill

/** @typedef {import("../gallery.js").Card} Card */

/** @param {string} path of a 20 x 20 drawing */
function icon(path) {
  const span = element("span", { "aria-hidden": "true" });
  span.innerHTML = `<svg viewBox="0 0 20 20"><path class="line" d="${path}"/></svg>`;
  return /** @type {Node} */ (span.firstChild);
}

class CardView {
  #drawn = "";

  /** @param {Card} card @param {{onChoose: (id: string) => void, onDelete: (id: string) => void}} actions */
  constructor({ id, name, custom }, { onChoose, onDelete }) {
    this.note = element("span", { class: "face-note" });
    this.picture = element("span", { class: "face-picture" }, element("img", { src: api.previewUrl(id), alt: "", loading: "lazy" }), element("span", { class: "face-mark" }));
    this.choice = element("button", { class: "face-choice", type: "button" }, this.picture, element("span", { class: "face-name" }, name), this.note);
    this.choice.addEventListener("click", () => this.choice.getAttribute("aria-disabled") !== "true" && onChoose(id));
    this.node = element("li", { class: "face", "data-avatar": id }, this.choice);
    if (custom) this.#addDeletion(id, name, onDelete);
  }

  /** @param {string} id @param {string} name @param {(id: string) => void} onDelete */
  #addDeletion(id, name, onDelete) {
    const ask = element("button", { class: "face-delete", type: "button", "aria-label": `Delete ${name}` }, icon("M4.5 6h11M8 6V4.5h4V6m-6 0 .6 9.5h6.8L14 6"));
    const yes = element("button", { class: "button bad", type: "button" }, "Delete");
    const no = element("button", { class: "button plain", type: "button" }, "Keep");
    const question = element("div", { class: "face-question", role: "group", "aria-label": `Delete ${name} and its photo?`, hidden: "" }, element("p", {}, "Delete this face and its photo?"), yes, no);
    const show = (/** @type {boolean} */ asking) => {
      question.hidden = !asking;
      (asking ? no : ask).focus();
    };
    ask.addEventListener("click", () => show(true));
    no.addEventListener("click", () => show(false));
    question.addEventListener("keydown", (/** @type {any} */ event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      show(false);
    });
    yes.addEventListener("click", () => {
      yes.setAttribute("disabled", "");
      onDelete(id);
    });
    this.node.append(ask, question);
  }

  /** @param {Card} card */
  render({ name, current, coming, why }) {
    const drawn = JSON.stringify([current, coming, why]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.node.classList.toggle("current", current);
    this.node.classList.toggle("coming", coming);
    if (current) this.choice.setAttribute("aria-current", "true");
    else this.choice.removeAttribute("aria-current");
    this.choice.setAttribute("aria-disabled", String(Boolean(why)));
    this.choice.title = why || name;
    setText(this.note, why || (coming ? "Coming…" : current ? "On stage" : ""));
  }
}

export class GalleryView {
  /** @type {Map<string, CardView>} */ #views = new Map();
  #stack = "";
  /** @type {import("../words.js").Words | null} */ #trouble = null;

  /** @param {{onChoose: (id: string) => void, onChanged: () => Promise<void>, upload: import("./upload.js").UploadView}} actions */
  constructor({ onChoose, onChanged, upload }) {
    this.onChoose = onChoose;
    this.onChanged = onChanged;
    this.upload = upload;
    this.panel = new Panel({ panel: "gallery", pill: "faces", title: "gallery-title", close: "gallery-close" }, { onOpen: () => this.#opened() });
    byId("upload-open").addEventListener("click", () => this.#show(true));
    byId("choice").addEventListener("click", () => setText(byId("gallery-remark"), ""));
    byId("upload-back").addEventListener("click", () => this.#show(false));
    addEventListener("dragover", (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
    addEventListener("drop", (event) => {
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      if (this.upload.busy) return;
      this.panel.open();
      this.#show(true);
      this.upload.take(file);
    });
  }

  #opened() {
    this.#trouble = null;
    this.#show(this.upload.busy);
    void this.onChanged();
  }

  /** @param {boolean} upload whether to show the form instead of the cards */
  #show(upload) {
    byId("choice").hidden = upload;
    byId("upload").hidden = !upload;
    byId("upload-back").hidden = !upload;
    setText(byId("gallery-title"), upload ? "Bring a photo to life" : "Who do you want to talk to?");
    if (upload) this.upload.shown();
  }

  /** A new face is there, and the cards with it. @param {string} id @param {import("../upload.js").Finding[]} remarks */
  built(id, remarks) {
    this.#show(false);
    const name = this.#views.get(id)?.node.querySelector(".face-name")?.textContent ?? "It";
    setText(byId("gallery-remark"), remarks.length ? `${name} can speak. ${remarks.map(({ message }) => asSentence(message)).join(" ")}` : "");
    this.#views.get(id)?.node.scrollIntoView({ block: "nearest" });
  }

  /** @param {Card[]} cards @param {import("../words.js").Words | null} notice of the conversation, which is covered */
  render(cards, notice) {
    const switching = cards.some(({ coming }) => coming);
    byId("faces").classList.toggle("switching", switching);
    setText(byId("faces-word"), switching ? "Changing…" : "Faces");
    this.#renderStack(cards);
    if (!this.panel.isOpen) return;
    const trouble = this.#trouble ?? notice;
    byId("gallery-trouble").classList.toggle("mild", trouble?.mild === true);
    setText(byId("gallery-trouble"), trouble ? `${trouble.title} ${trouble.hint}` : "");
    const list = byId("cards");
    for (const [id, view] of this.#views) {
      if (cards.some((card) => card.id === id)) continue;
      view.node.remove();
      this.#views.delete(id);
    }
    cards.forEach((card, at) => {
      let view = this.#views.get(card.id);
      if (!view) {
        view = new CardView(card, { onChoose: this.onChoose, onDelete: (id) => void this.#delete(id) });
        this.#views.set(card.id, view);
      }
      view.render(card);
      if (list.children[at] !== view.node) list.insertBefore(view.node, list.children[at]);
    });
  }

  /** @param {Card[]} cards */
  #renderStack(cards) {
    const ids = cards.filter(({ current, why }) => !current && !why).slice(0, STACK).map(({ id }) => id);
    if (ids.join() === this.#stack) return;
    this.#stack = ids.join();
    byId("faces-stack").replaceChildren(...ids.map((id) => element("img", { src: api.previewUrl(id), alt: "" })));
  }

  /** @param {string} id */
  async #delete(id) {
    this.#trouble = null;
    try {
      await api.deleteAvatar(id);
    } catch (error) {
      this.#trouble = explain(/** @type {api.ApiError} */ (error));
      this.#views.get(id)?.node.remove(); // drawn anew, without its question
      this.#views.delete(id);
    }
    await this.onChanged();
    this.panel.focus();
  }
}
