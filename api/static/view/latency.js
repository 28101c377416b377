/** The last turn's latency as a waterfall: as many rows for every typed turn, and for every spoken one, so that nothing
 * moves when the figures arrive. */

import { inWords, isSpoken, rows, totalMs } from "../waterfall.js";
import { byId, element, setText } from "./dom.js";

/** @typedef {{node: HTMLElement, bar: HTMLElement, figure: HTMLElement, words: HTMLElement}} RowView */

/** @param {import("../waterfall.js").Row} row @returns {RowView} */
function rowView({ stage, label, what }) {
  const bar = element("span", { class: "bar" });
  const figure = element("span", { class: "figure", "aria-hidden": "true" }, "–");
  const words = element("span", { class: "unseen" });
  const node = element("li", { "data-stage": stage, title: what },
    element("span", { class: "label", "aria-hidden": "true" }, label),
    element("span", { class: "track", "aria-hidden": "true" }, bar), figure, words);
  return { node, bar, figure, words };
}

export class LatencyView {
  /** @type {Map<string, RowView>} */ #rows = new Map();
  #stages = "";
  #drawn = "";

  constructor() {
    this.render(null, { heardMs: null, seenMs: null });
  }

  /** @param {import("../waterfall.js").Timing | null} timing @param {import("../waterfall.js").Here} here */
  render(timing, here) {
    const all = rows(timing, here);
    const drawn = JSON.stringify([all, timing?.generation]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#lay(all);
    const total = totalMs(all);
    const heard = all.find(({ stage }) => stage === "heard")?.endMs ?? null;
    const sent = all.find(({ stage }) => stage === "sent")?.endMs ?? total;
    const reached = heard === null ? `${inWords(sent)} to the first packet sent` : `${inWords(heard)} to the first sound heard`;
    setText(byId("latency-total"), total ? reached : "Latency, stage by stage");
    setText(byId("latency-zero"), isSpoken(timing) ? "since you stopped speaking" : "");
    byId("latency").dataset.generation = String(timing?.generation ?? "");
    for (const { stage, label, what, startMs, endMs } of all) {
      const { node, bar, figure, words } = /** @type {RowView} */ (this.#rows.get(stage));
      node.classList.toggle("empty", endMs === null);
      node.dataset.ms = endMs === null ? "" : String(Math.round(endMs));
      bar.style.setProperty("--start", String(total ? (startMs ?? 0) / total : 0));
      bar.style.setProperty("--length", String(total && endMs !== null ? (endMs - startMs) / total : 0));
      setText(figure, endMs === null ? "–" : inWords(endMs - startMs));
      setText(words, endMs === null ? `${label}: no figure.` : `${label}, ${what}: after ${inWords(endMs)}, of which ${inWords(endMs - startMs)} here.`);
    }
  }

  /** The rows of this kind of turn, in place of those of the other. @param {import("../waterfall.js").Row[]} all */
  #lay(all) {
    const stages = all.map(({ stage }) => stage).join();
    if (stages === this.#stages) return;
    this.#stages = stages;
    this.#rows = new Map(all.map((row) => [row.stage, rowView(row)]));
    byId("latency-rows").replaceChildren(...[...this.#rows.values()].map(({ node }) => node));
  }
}
