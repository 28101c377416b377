/** What opens in the place of the conversation, so that the stage stays in view: one panel at a time, each with its pill. */

import { byId } from "./dom.js";

/** @type {Panel | null} */
let shown = null;

/** Back to the conversation. @returns {boolean} whether a panel was open */
export function closePanel() {
  const open = shown;
  open?.close();
  return open !== null;
}

export class Panel {
  /**
   * @param {{panel: string, pill: string, title: string, close: string}} ids of its parts
   * @param {{onOpen: () => void, onClose?: () => void}} does
   */
  constructor({ panel, pill, title, close }, { onOpen, onClose = () => {} }) {
    this.panel = byId(panel);
    this.pill = byId(pill);
    this.title = byId(title);
    this.onOpen = onOpen;
    this.onClose = onClose;
    this.pill.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    byId(close).addEventListener("click", () => this.close());
  }

  get isOpen() {
    return shown === this;
  }

  open() {
    if (!this.isOpen) shown?.close(false);
    this.#set(true);
    this.onOpen();
    this.focus();
  }

  focus() {
    this.title.focus({ preventScroll: true });
  }

  close(refocus = true) {
    if (!this.isOpen) return;
    const held = this.panel.contains(document.activeElement);
    this.#set(false);
    this.onClose();
    if (refocus && held) this.pill.focus();
  }

  /** @param {boolean} open */
  #set(open) {
    shown = open ? this : null;
    document.body.classList.toggle("choosing", open);
    this.panel.hidden = !open;
    this.pill.setAttribute("aria-expanded", String(open));
  }
}
