/** The microphone's row: one button that speaks, the three ways, the level, the device, and what to do in words. */

import { byId, element, setText } from "./dom.js";

const METER_MS = 40; // between two looks at the level
const METER_STILL_MS = 250; // for those who want no motion
const HOLD_KEYS = new Set([" ", "Enter"]);
const KEYBOARD = matchMedia("(pointer: fine)");
const STILL = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {import("../voice.js").Voice} voice @returns {[string, string]} the button's word, and what to do */
function wordsOf(voice) {
  if (voice.microphone.asking && !voice.microphone.stream) return ["Talk", "Allow the microphone in the browser's question."];
  if (voice.mode === "open") return ["Turn off", "Just speak; cut in at any time."];
  if (voice.mode === "off") return ["Talk", "Speak instead of typing."];
  if (voice.holding) return ["Listening", "Let go when you are done."];
  return ["Hold to talk", voice.understanding ? "Understanding…" : KEYBOARD.matches ? "Or hold Space while you speak." : "Hold it while you speak."];
}

export class VoiceView {
  #drawn = "";
  #metering = false;
  #devices = "";

  /** @param {import("../voice.js").Voice} voice @param {() => void} onTalk connects, where that is still to be done */
  constructor(voice, onTalk) {
    this.voice = voice;
    this.onTalk = onTalk;
    byId("voice-mode").addEventListener("change", (/** @type {any} */ { target }) => this.#choose(target.value));
    byId("device").addEventListener("change", (/** @type {any} */ { target }) => void voice.microphone.choose(target.value));
    this.#followButton(byId("speak"));
    this.#followSpace();
    for (const gone of ["blur", "pagehide"]) addEventListener(gone, () => void voice.release());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) void voice.release();
      this.#meter();
    });
  }

  /** @param {"off" | "hold" | "open"} mode */
  #choose(mode) {
    if (mode !== "off") this.onTalk();
    void this.voice.choose(mode);
  }

  /** A click talks or turns off; held down, it is push to talk. @param {HTMLElement} button */
  #followButton(button) {
    const { voice } = this;
    let wasHold = false; // the press was one of push to talk, whatever its click may say
    button.addEventListener("pointerdown", (event) => {
      wasHold = voice.mode === "hold";
      if (!wasHold || event.button !== 0) return;
      button.setPointerCapture(event.pointerId); // a finger that slides off is still holding
      void voice.press();
    });
    for (const up of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(up, () => void voice.release());
    button.addEventListener("contextmenu", (event) => voice.mode === "hold" && event.preventDefault()); // of a long touch
    button.addEventListener("click", ({ detail }) => {
      if (voice.mode === "off") this.#choose(voice.favourite);
      else if (voice.mode === "open") this.#choose("off");
      else if (detail === 0 && !wasHold) void (voice.holding ? voice.release() : voice.press()); // a screen reader's click
      wasHold = false;
    });
  }

  #followSpace() {
    addEventListener("keydown", (event) => {
      if (this.voice.mode !== "hold" || !this.#holds(event)) return;
      event.preventDefault();
      if (!event.repeat) void this.voice.press();
    });
    addEventListener("keyup", (event) => {
      if (!HOLD_KEYS.has(event.key) || !this.voice.holding) return;
      event.preventDefault();
      void this.voice.release();
    });
  }

  /** Whether this key is the one to hold here: Space where it means nothing else, Enter on the button as well. @param {KeyboardEvent} event */
  #holds({ key, target, altKey, ctrlKey, metaKey }) {
    if (!HOLD_KEYS.has(key) || altKey || ctrlKey || metaKey) return false;
    const at = /** @type {Element} */ (target);
    if (at === byId("speak")) return true;
    const free = !at.closest?.("button, a, select, summary, textarea, input:not([name=voice])");
    return key === " " && free;
  }

  render() {
    const { voice } = this;
    const { microphone, mode } = voice;
    const live = voice.session.phase === "live";
    const { stage, hearing } = voice.session.floor;
    const [button, words] = wordsOf(voice);
    const heard = live && (voice.holding || (mode === "open" && hearing));
    const drawn = JSON.stringify([mode, voice.holding, voice.listening, heard, stage, live, button, words, microphone.devices, microphone.device]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    Object.assign(byId("voice").dataset, { mode, heard: String(heard), listening: String(voice.listening), holding: String(voice.holding) });
    setText(byId("talk-word"), button);
    setText(byId("voice-words"), words);
    byId("speak").disabled = mode === "hold" && !live;
    byId("speak").setAttribute("aria-label", mode === "open" ? "Turn the microphone off" : button);
    if (mode === "hold") byId("speak").setAttribute("aria-pressed", String(voice.holding));
    else byId("speak").removeAttribute("aria-pressed");
    for (const radio of byId("voice-mode").querySelectorAll("input")) radio.checked = radio.value === mode;
    this.#renderDevices();
    this.#meter();
  }

  #renderDevices() {
    const { devices, device } = this.voice.microphone;
    byId("devices").hidden = devices.length < 2 || this.voice.mode === "off";
    const listed = JSON.stringify(devices);
    if (listed !== this.#devices) {
      this.#devices = listed;
      byId("device").replaceChildren(...devices.map(({ id, label }) => element("option", { value: id }, label)));
    }
    byId("device").value = device;
  }

  /** One loop while somebody may speak and the page is seen. */
  #meter() {
    if (this.#metering) return;
    const meter = byId("meter");
    let last = 0;
    let level = 0;
    const look = (/** @type {number} */ now) => {
      this.#metering = this.voice.listening && !document.hidden;
      if (!this.#metering) return meter.style.setProperty("--level", "0");
      if (now - last >= (STILL.matches ? METER_STILL_MS : METER_MS)) {
        last = now;
        level = Math.max(this.voice.level, level * 0.72); // up at once, down slowly
        meter.style.setProperty("--level", level.toFixed(2));
      }
      requestAnimationFrame(look);
    };
    look(0);
  }
}
