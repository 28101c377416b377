/** The note that the embedded language model is a toy; once dismissed it stays away. */

import { byId } from "./dom.js";

const KEY = "opentalking.toy-note-dismissed";

/** @param {import("../api.js").Health | null} health */
export function showToyNote(health) {
  byId("toy-note").hidden = !health?.llm?.embedded || localStorage.getItem(KEY) === "yes";
  byId("toy-note-close").addEventListener("click", () => {
    localStorage.setItem(KEY, "yes");
    byId("toy-note").hidden = true;
    byId("line").focus();
  });
}
