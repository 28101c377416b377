/**
 * The microphone as a device: asked for, kept while it is wanted, replaced when it goes away or another one takes its place.
 *
 *     closed ── open ──> asking ── granted ──> on ── close ──> closed
 *                          ^  └─ refused ──> closed, `words` says why
 *                          └── its track ended, the devices changed ── on      (what listens gets the new track)
 *
 * The browser takes out echo and noise and evens the level: the avatar's own voice comes back through every loudspeaker.
 */

import * as memory from "./memory.js";
import { explain } from "./words.js";

/** Why a browser gives no microphone, as a code of words.js. @param {{name?: string, message?: string}} error */
export function codeOf(error) {
  const message = error.message ?? "";
  switch (error.name) {
    case "NotAllowedError":
      if (/system/i.test(message)) return "microphone_denied_by_system";
      return /dismiss/i.test(message) ? "microphone_dismissed" : "microphone_denied";
    case "SecurityError": return "microphone_denied";
    case "NotFoundError": return "microphone_missing";
    case "NotReadableError":
    case "AbortError": return "microphone_unreadable";
    default: return "microphone_failed";
  }
}

export class Microphone {
  /** @type {MediaStream | null} */ stream = null;
  /** @type {import("./words.js").Words | null} */ words = null;
  /** @type {{id: string, label: string}[]} */ devices = [];
  asking = false;
  #wanted = 0; // raised by every open and close; an older question's answer is not wanted any more
  #known = "";

  /** @param {() => void} onChange the stream, the devices or the words are new */
  constructor(onChange) {
    this.onChange = onChange;
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.#devicesChanged());
  }

  /** Asks for it where need be, and resolves when it is open or refused. @returns {Promise<boolean>} whether it is open */
  async open() {
    const wanted = (this.#wanted += 1);
    this.words = null;
    this.asking = true;
    this.onChange();
    let stream = null;
    let words = null;
    try {
      stream = await this.#ask();
    } catch (error) {
      words = explain({ code: globalThis.isSecureContext === false ? "microphone_insecure" : codeOf(/** @type {DOMException} */ (error)) });
    }
    if (wanted !== this.#wanted) {
      stop(stream);
      return false;
    }
    this.asking = false;
    this.words = words;
    this.#take(stream);
    if (stream) await this.#list();
    return stream !== null;
  }

  close() {
    this.#wanted += 1;
    this.asking = false;
    this.words = null;
    this.#take(null);
  }

  /** @param {string} id the device to use from now on; "": the browser's choice */
  async choose(id) {
    memory.rememberDevice(id);
    if (this.stream) await this.open();
  }

  /** The device in use. */
  get device() {
    return this.stream?.getAudioTracks()[0]?.getSettings().deviceId ?? "";
  }

  /** @returns {Promise<MediaStream>} */
  async #ask() {
    if (!navigator.mediaDevices) throw new DOMException("no mediaDevices", "SecurityError");
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    const id = memory.recallDevice();
    if (id) {
      try {
        return await navigator.mediaDevices.getUserMedia({ audio: { ...audio, deviceId: { exact: id } } });
      } catch (error) {
        const gone = /** @type {DOMException} */ (error).name;
        if (gone !== "OverconstrainedError" && gone !== "NotFoundError") throw error; // else whatever there is
      }
    }
    return await navigator.mediaDevices.getUserMedia({ audio });
  }

  /** @param {MediaStream | null} stream */
  #take(stream) {
    const before = this.stream;
    this.stream = stream;
    const track = stream?.getAudioTracks()[0];
    track?.addEventListener("ended", () => {
      if (this.stream === stream) void this.#lost();
    });
    this.onChange(); // who sends the old track changes to the new one before the old one stops
    stop(before);
  }

  /** The device was pulled out, or its permission withdrawn: the default one takes its place, or words say why not. */
  async #lost() {
    const reopened = await this.open();
    if (!reopened && this.words?.title === explain({ code: "microphone_missing" }).title) {
      this.words = explain({ code: "microphone_lost" });
      this.onChange();
    }
  }

  async #devicesChanged() {
    const before = this.#known;
    await this.#list();
    if (this.stream && this.#known !== before) await this.open();
  }

  async #list() {
    const all = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "audioinput");
    this.#known = JSON.stringify(all.map(({ deviceId, groupId }) => [deviceId, groupId]));
    this.devices = all.map(({ deviceId, label }, number) => ({ id: deviceId, label: label || `Microphone ${number + 1}` }));
    this.onChange();
  }
}

/** @param {MediaStream | null} stream */
function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
