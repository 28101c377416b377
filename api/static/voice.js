/**
 * The person's voice on its way to the server, in one of two ways.
 *
 *     off ── Talk ──> open   the microphone is a track of the peer connection; the server hears when somebody speaks
 *      ^      └─────> hold   only what is said between press and release is sent, by a WebSocket: its end is exact
 *      └── off, the conversation is over, or no microphone is to be had (`words`)
 *
 * The choice is remembered. The browser's question comes at a click, never at the opening of the page; a reload goes on
 * with an open microphone where the browser does not need to ask.
 */

import * as api from "./api.js";
import { Capture } from "./capture.js";
import * as memory from "./memory.js";
import { Microphone } from "./microphone.js";
import { Utterance } from "./utterance.js";
import { explain } from "./words.js";

/** @typedef {"off" | "hold" | "open"} Mode */

const TAIL_MS = 80; // what was said before the release is still on its way through the audio system

export class Voice {
  /** @type {Mode} */ mode = "off";
  /** @type {Exclude<Mode, "off">} what Talk turns on */ favourite = memory.recallVoice();
  holding = false;
  understanding = false;
  /** @type {Capture | null} */ #capture = null;
  /** @type {Utterance | null} */ #utterance = null;
  #stopRecording = async () => {};
  /** @type {Promise<unknown>} */ #before = Promise.resolve();

  /** @param {import("./session.js").Session} session @param {() => void} onChange */
  constructor(session, onChange) {
    this.session = session;
    this.onChange = onChange;
    this.microphone = new Microphone(() => this.#microphoneChanged());
  }

  /** Whether something that is said now is listened to. */
  get listening() {
    return this.#capture !== null && (this.mode === "open" || this.holding);
  }

  /** How loud the person is, 0 … 1. */
  get level() {
    return this.#capture?.level ?? 0;
  }

  /** @param {Mode} mode */
  async choose(mode) {
    this.mode = mode;
    this.#drop();
    if (mode === "off") {
      this.microphone.close();
    } else {
      this.favourite = mode;
      memory.rememberVoice(mode);
      if (!this.microphone.stream && !this.microphone.asking) void this.microphone.open();
    }
    memory.rememberVoiceIsOn(mode === "open");
    this.#microphoneChanged();
  }

  /** After a reload: as it was before, if that needs no question. */
  async resume() {
    if (!memory.voiceWasOn()) return;
    const granted = await navigator.permissions?.query({ name: /** @type {any} */ ("microphone") }).catch(() => null);
    if (granted?.state === "granted") await this.choose("open");
    else memory.rememberVoiceIsOn(false);
  }

  /** The person begins to speak. */
  async press() {
    if (this.mode !== "hold" || this.holding || this.session.phase !== "live") return;
    this.holding = true;
    this.session.notice = null;
    this.onChange();
    if (!this.microphone.stream) await this.microphone.open();
    if (!this.holding || !this.#capture || this.#utterance) return; // released while the browser asked
    const utterance = new Utterance(api.microphoneUrl(/** @type {string} */ (this.session.id)), this.session.floor.busy, this.#before);
    this.#utterance = utterance;
    this.#before = utterance.result.catch(() => {});
    void this.#conclude(utterance);
    await this.#record(utterance);
  }

  /** The person has said it. */
  async release() {
    if (!this.holding) return;
    this.holding = false;
    const utterance = this.#utterance;
    this.#utterance = null;
    this.understanding = utterance !== null;
    this.onChange();
    if (!utterance) return;
    const stop = this.#stopRecording;
    await new Promise((resolve) => setTimeout(resolve, TAIL_MS));
    await stop();
    utterance.end();
  }

  /** @param {Utterance} utterance */
  async #record(utterance) {
    const capture = /** @type {Capture} */ (this.#capture);
    const starting = capture.record((pcm) => utterance.write(pcm));
    this.#stopRecording = async () => (await starting)();
    await starting.catch(() => {
      this.#drop();
      this.microphone.words = explain({ code: "microphone_failed" });
      this.onChange();
    });
  }

  /** @param {Utterance} utterance */
  async #conclude(utterance) {
    try {
      if ((await utterance.result) === null) this.session.slipped();
    } catch (error) {
      this.session.misheard(/** @type {api.ApiError} */ (error));
    }
    if (this.#utterance === utterance) this.#drop(); // it failed while the button was still held
    this.understanding = false;
    this.onChange();
  }

  /** What was being said is not said any more. */
  #drop() {
    this.holding = false;
    this.#utterance?.abandon();
    this.#utterance = null;
    void this.#stopRecording().catch(() => {});
    this.#stopRecording = async () => {};
  }

  #microphoneChanged() {
    const { stream, asking } = this.microphone;
    if (stream !== this.#heard) this.#listenTo(stream);
    if (!stream && !asking && this.mode !== "off") { // refused
      this.mode = "off";
      this.#drop();
      memory.rememberVoiceIsOn(false);
    }
    this.session.send(this.mode === "open" ? (stream?.getAudioTracks()[0] ?? null) : null);
    this.onChange();
  }

  /** @type {MediaStream | null} */ #heard = null;

  /** @param {MediaStream | null} stream */
  #listenTo(stream) {
    this.#heard = stream;
    this.#capture?.close();
    this.#capture = stream && new Capture(stream);
    if (stream && this.#utterance) void this.#record(this.#utterance); // the rest comes from the other device
  }
}
