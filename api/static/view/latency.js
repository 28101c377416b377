/** The last turn's latency as a waterfall: always six rows, so that nothing moves when the figures arrive. */

import { inWords, rows, totalMs } from "../waterfall.js";
import { byId, element, setText } from "./dom.js";

export class LatencyView {
  /** @type {Map<string, {node: HTMLElement, bar: HTMLElement, figure: HTMLElement, words: HTMLElement}>} */ #rows = new Map();
  #drawn = "";

  constructor() {
    for (const { stage, label, what } of rows(null, null)) {
      const bar = element("span", { class: "bar" });
      const figure = element("span", { class: "figure", "aria-hidden": "true" }, "–");
      const words = element("span", { class: "unseen" });
      const node = element("li", { "data-stage": stage, title: what },
        element("span", { class: "label", "aria-hidden": "true" }, label),
        element("span", { class: "track", "aria-hidden": "true" }, bar), figure, words);
      this.#rows.set(stage, { node, bar, figure, words });
      byId("latency-rows").append(node);
    }
  }

  /** @param {import("../waterfall.js").Timing | null} timing @param {number | null} heardMs */
  render(timing, heardMs) {
    const all = rows(timing, heardMs);
    const drawn = JSON.stringify(all);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const total = totalMs(all);
    setText(byId("latency-total"), total ? `${inWords(total)} to the first ${heardMs === null ? "packet sent" : "sound heard"}` : "Latency, stage by stage");
    byId("latency").dataset.generation = String(timing?.generation ?? "");
    for (const { stage, label, what, startMs, endMs } of all) {
      const { node, bar, figure, words } = /** @type {any} */ (this.#rows.get(stage));
      node.classList.toggle("empty", endMs === null);
      node.dataset.ms = endMs === null ? "" : String(Math.round(endMs));
      bar.style.setProperty("--start", String(total ? (startMs ?? 0) / total : 0));
      bar.style.setProperty("--length", String(total && endMs !== null ? (endMs - startMs) / total : 0));
      setText(figure, endMs === null ? "–" : inWords(endMs - startMs));
      setText(words, endMs === null ? `${label}: no figure.` : `${label}, ${what}: after ${inWords(endMs)}, of which ${inWords(endMs - startMs)} here.`);
    }
  }
}
