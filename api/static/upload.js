/**
 * A photo or a short video on its way to become an avatar.
 *
 *     problemOf(file)          what can be told without sending it
 *     build(order, onProgress) ── upload ── `event: progress` … ── `event: done` {avatar, report} | `event: error`
 *
 * A refusal is an `ApiError` whose `report` says, finding by finding, what to do.
 */

import { ApiError, url } from "./api.js";

const MB = 1_000_000;
const limits = { image: 10 * MB, video: 200 * MB }; // until the server has said
const UPLOAD_SHARE = 0.25; // of the progress bar; the rest is the server's
const SUFFIXES = { image: /\.(png|jpe?g|webp)$/i, video: /\.(mp4|webm|mov|avi)$/i };
const NO_NAME = /^(img|dsc|dscn|pxl|photo|picture|portrait|image|screenshot|untitled|unnamed|download|vid|video|mvi|whatsapp)?[\s_-]*(\d|$)/i;

export const ACCEPTED = "image/png,image/jpeg,image/webp,video/mp4,video/webm,video/quicktime,.png,.jpg,.jpeg,.webp,.mp4,.webm,.mov,.avi";

/** @typedef {{code: string, severity: "warn" | "refuse", message: string, value?: number, limit?: number}} Finding */
/** @typedef {{verdict: "ok" | "warn" | "refuse", findings: Finding[]}} Report */
/** @typedef {import("./api.js").Avatar & {report?: Report}} Built */
/** @typedef {{file: File, name: string, consent: boolean}} Order */

/** What the server takes. @param {{image: number, video: number} | undefined} bytes */
export function learnLimits(bytes) {
  Object.assign(limits, bytes);
}

/** What may be chosen, in words. */
export const formats = () => `PNG, JPEG or WebP up to ${limits.image / MB} MB, or a short video up to ${limits.video / MB} MB.`;

/** @param {{name: string, type: string}} file @returns {"image" | "video" | null} */
export function kindOf({ name, type }) {
  for (const kind of /** @type {const} */ (["image", "video"])) {
    if (type.startsWith(`${kind}/`) || (!type && SUFFIXES[kind].test(name))) return kind;
  }
  return null;
}

/** @param {{name: string, type: string, size: number}} file @returns {string} nothing if it may be sent */
export function problemOf(file) {
  const kind = kindOf(file);
  if (!kind) return "This is neither a photo nor a video. Choose a PNG, JPEG or WebP picture, or a short MP4, WebM or MOV.";
  if (!file.size) return "This file is empty. Choose another one.";
  const most = limits[kind];
  if (file.size > most) return `This file has ${Math.ceil(file.size / MB)} MB; a ${kind === "image" ? "photo" : "video"} may have ${most / MB} MB. Choose a smaller one.`;
  return "";
}

/** A name to begin with, from the file's, if a person gave it one. @param {string} fileName */
export function nameFrom(fileName) {
  const stem = fileName.replace(/\.[^.]*$/, "");
  if (NO_NAME.test(stem)) return "";
  return stem.replace(/[\s_-]+/g, " ").trim().slice(0, 40).replace(/(^|\s)\p{L}/gu, (letter) => letter.toUpperCase());
}

/** Server-Sent Events in a text that grows. */
export class EventText {
  #taken = 0;

  /** The events that are whole by now and were not given before. @param {string} text all that came so far @returns {[string, any][]} */
  read(text) {
    const end = text.lastIndexOf("\n\n");
    if (end < this.#taken) return [];
    const frames = text.slice(this.#taken, end).split("\n\n");
    this.#taken = end + 2;
    return frames.flatMap((frame) => {
      const field = (/** @type {string} */ name) => frame.split("\n").find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
      const data = field("data");
      return data ? [/** @type {[string, any]} */ ([field("event") ?? "message", JSON.parse(data)])] : [];
    });
  }
}

/** @param {any} answer @param {number} status */
function refusal(answer, status) {
  const error = new ApiError(status, answer?.code ?? `http_${status}`, typeof answer?.detail === "string" ? answer.detail : "");
  return Object.assign(error, { report: /** @type {Report | undefined} */ (answer?.report) });
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * @param {Order} order
 * @param {(share: number, stage: string) => void} onProgress share 0 … 1; stage "upload", then the server's
 * @param {AbortSignal} signal
 * @returns {Promise<Built>} rejects with an ApiError, or an AbortError
 */
export function build({ file, name, consent }, onProgress, signal) {
  const form = new FormData();
  form.set("name", name);
  form.set("consent", String(consent));
  form.set(/** @type {string} */ (kindOf(file)), file); // last: whoever reads the form knows the rest by then
  const request = new XMLHttpRequest(); // the only one that tells how much was sent
  const events = new EventText();
  return new Promise((resolve, reject) => {
    const take = () => {
      if (!(request.getResponseHeader("Content-Type") ?? "").startsWith("text/event-stream")) return;
      for (const [event, data] of events.read(request.responseText)) {
        if (event === "progress") onProgress(UPLOAD_SHARE + (1 - UPLOAD_SHARE) * (data.share ?? 0), data.stage ?? "");
        else if (event === "done") resolve({ ...data.avatar, report: data.report });
        else if (event === "error") reject(refusal(data, 422));
      }
    };
    const unreachable = () => reject(new ApiError(0, "unreachable", ""));
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress((UPLOAD_SHARE * loaded) / (total || 1), "upload"));
    request.addEventListener("progress", take);
    request.addEventListener("load", () => {
      take();
      const answer = parsed(request.responseText);
      if (request.status !== 200) reject(refusal(answer, request.status));
      else if (answer) resolve(answer);
      else unreachable(); // the stream ended half-way; nothing happens if it had said how it went
    });
    request.addEventListener("error", unreachable);
    request.addEventListener("abort", () => reject(new DOMException("given up", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.open("POST", url("avatars/custom"));
    request.setRequestHeader("Accept", "text/event-stream");
    request.send(form);
  });
}
