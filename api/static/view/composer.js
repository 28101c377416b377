/** The message box: Enter sends, Shift+Enter breaks the line, the mode says what the avatar does with it. */

import { byId } from "./dom.js";

const PLACEHOLDERS = { ask: "Ask anything", say: "Words for the avatar to say" };

export class Composer {
  #line = /** @type {HTMLTextAreaElement} */ (byId("line"));

  /** @param {(kind: import("../conversation.js").Kind, text: string) => void} onLine */
  constructor(onLine) {
    this.onLine = onLine;
    this.#line.addEventListener("input", () => this.#fit());
    this.#line.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    byId("composer").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#submit();
    });
    byId("mode").addEventListener("change", () => (this.#line.placeholder = PLACEHOLDERS[this.#kind]));
    byId("suggestions").addEventListener("click", (/** @type {any} */ event) => {
      if (event.target.matches("button")) onLine("ask", event.target.textContent);
    });
    this.#fit();
  }

  focus() {
    this.#line.focus({ preventScroll: true });
  }

  get #kind() {
    return /** @type {import("../conversation.js").Kind} */ (new FormData(byId("composer")).get("mode"));
  }

  #submit() {
    const text = this.#line.value.trim();
    if (!text) return;
    this.#line.value = "";
    this.#fit();
    this.onLine(this.#kind, text);
  }

  #fit() {
    this.#line.style.height = "auto";
    this.#line.style.height = `${this.#line.scrollHeight}px`;
    byId("send").disabled = !this.#line.value.trim();
  }
}
