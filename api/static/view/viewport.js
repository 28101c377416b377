/** Fits the page into what the on-screen keyboard leaves, and folds the waterfall away where space is short. */

import { byId } from "./dom.js";

const NARROW = matchMedia("(max-width: 599px), (max-width: 860px) and (min-height: 561px)");
const CRAMPED_BELOW_PX = 520;

function fit() {
  const height = globalThis.visualViewport?.height ?? innerHeight;
  document.documentElement.style.setProperty("--viewport-height", `${height}px`);
  document.body.classList.toggle("cramped", NARROW.matches && height < CRAMPED_BELOW_PX);
  if (NARROW.matches) scrollTo(0, 0); // some browsers push the page up behind the keyboard
}

function fold() {
  const details = byId("latency-details");
  details.open = byId("toy-note-details").open = !NARROW.matches;
  // On a wide page it is always open: then the summary is a heading, not a switch.
  const summary = details.querySelector("summary");
  if (NARROW.matches) summary.removeAttribute("tabindex");
  else summary.setAttribute("tabindex", "-1");
}

export function followViewport() {
  (globalThis.visualViewport ?? window).addEventListener("resize", fit);
  byId("latency-details").addEventListener("toggle", (/** @type {any} */ { target }) => {
    if (target.open && NARROW.matches) byId("latency").scrollIntoView({ block: "end" });
  });
  NARROW.addEventListener("change", () => {
    fold();
    fit();
  });
  fold();
  fit();
}
