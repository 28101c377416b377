/** The form that makes a face of a photo: what is missing before it can be sent, how far it is, what came of it. */

import { ACCEPTED, build, formats, kindOf, nameFrom, problemOf } from "../upload.js";
import { asSentence, explain } from "../words.js";
import { byId, element, setText } from "./dom.js";

/** @type {Record<string, string>} */
const STAGES = {
  upload: "Uploading…",
  reading: "Reading it…",
  following: "Following the face…",
  looking: "Looking at the face…",
  framing: "Framing it…",
  writing: "Writing it down…",
  preparing: "Bringing it to life…",
  done: "There it is.",
};

/** @param {string} stage of the server, a word or two */
const stageWords = (stage) => STAGES[stage] ?? `${asSentence(stage.replaceAll("_", " ")).slice(0, -1)}…`;

export class UploadView {
  /** @type {File | null} */ #file = null;
  /** @type {AbortController | null} */ #building = null;
  #address = "";
  #named = false; // whether a person wrote the name

  /** @param {(avatar: import("../upload.js").Built) => void} onBuilt */
  constructor(onBuilt) {
    this.onBuilt = onBuilt;
    byId("photo").accept = ACCEPTED;
    byId("photo").addEventListener("change", () => {
      const file = byId("photo").files[0];
      if (file) this.take(file);
    });
    byId("drop").addEventListener("dragenter", () => byId("drop").classList.add("over"));
    for (const end of ["dragleave", "drop"]) byId("drop").addEventListener(end, () => byId("drop").classList.remove("over"));
    byId("face-name").addEventListener("input", () => {
      this.#named = true;
      this.#render();
    });
    byId("consent").addEventListener("change", () => this.#render());
    byId("upload-cancel").addEventListener("click", () => this.#building?.abort());
    byId("upload").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#render();
  }

  get busy() {
    return this.#building !== null;
  }

  shown() {
    setText(byId("formats"), formats());
    if (!this.#file) byId("photo").focus();
  }

  /** @param {File} file */
  take(file) {
    const problem = problemOf(file);
    byId("photo").value = "";
    this.#file = problem ? null : file;
    this.#showFile();
    if (!this.#named) byId("face-name").value = problem ? "" : nameFrom(file.name);
    this.#report(problem ? "This file cannot be used." : "", problem ? [problem] : []);
    this.#render();
  }

  #showFile() {
    URL.revokeObjectURL(this.#address);
    this.#address = this.#file ? URL.createObjectURL(this.#file) : "";
    const kind = this.#file && kindOf(this.#file);
    for (const [id, wanted] of [["photo-image", kind === "image"], ["photo-video", kind === "video"]]) {
      byId(id).hidden = !wanted;
      if (wanted) byId(id).src = this.#address;
      else byId(id).removeAttribute("src");
    }
    byId("drop").classList.toggle("filled", this.#file !== null);
  }

  /** @returns {string} what is still to be done before it can be sent */
  get #missing() {
    if (!this.#file) return "Choose a photo first.";
    if (!byId("face-name").value.trim()) return "Give the face a name.";
    if (!byId("consent").checked) return "Tick the box: a face may speak here only with its person's consent.";
    return "";
  }

  #render() {
    const missing = this.#missing;
    byId("upload-send").disabled = missing !== "" || this.busy;
    byId("upload-send").hidden = this.busy;
    byId("progress").hidden = !this.busy;
    for (const id of ["photo", "face-name", "consent"]) byId(id).disabled = this.busy;
    setText(byId("upload-missing"), this.busy || !missing ? "Only what is around the face is kept, until the face is deleted." : missing);
  }

  /** @param {string} title @param {string[]} findings @param {"bad" | "note"} tone */
  #report(title, findings, tone = "bad") {
    const report = byId("report");
    report.replaceChildren();
    report.dataset.tone = title ? tone : "";
    if (title) report.append(element("p", { class: "report-title" }, title), element("ul", {}, ...findings.map((finding) => element("li", {}, finding))));
    if (title) report.scrollIntoView({ block: "nearest" });
  }

  async #send() {
    if (this.#missing || this.busy || !this.#file) return;
    const order = { file: this.#file, name: byId("face-name").value.trim(), consent: byId("consent").checked };
    this.#building = new AbortController();
    this.#report("", []);
    this.#progress(0, "upload");
    this.#render();
    try {
      const avatar = await build(order, (share, stage) => this.#progress(share, stage), this.#building.signal);
      this.#building = null;
      this.#clear();
      this.onBuilt(avatar);
    } catch (error) {
      this.#building = null;
      this.#render();
      if (/** @type {any} */ (error).name === "AbortError") return byId("upload-send").focus();
      this.#refused(/** @type {any} */ (error));
    }
    this.#render();
  }

  /** @param {number} share @param {string} stage */
  #progress(share, stage) {
    byId("progress-bar").value = share;
    setText(byId("progress-word"), stageWords(stage));
  }

  /** @param {import("../api.js").ApiError & {report?: import("../upload.js").Report}} error */
  #refused(error) {
    const findings = error.report?.findings ?? [];
    if (findings.length) {
      const ordered = [...findings].sort((a, b) => Number(b.severity === "refuse") - Number(a.severity === "refuse"));
      return this.#report("This picture cannot be used.", ordered.map(({ message }) => asSentence(message)));
    }
    const { title, hint } = explain(error);
    this.#report(title, [hint]);
  }

  #clear() {
    this.#file = null;
    this.#named = false;
    this.#showFile();
    byId("upload").reset();
  }
}
