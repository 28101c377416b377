/** The stage: picture and sound, the state in a word, the subtitle, the curtain before and between, the controls. */

import { previewUrl } from "../api.js";
import { byId, setText } from "./dom.js";

const FLOOR_WORDS = { listening: "Listening", thinking: "Thinking", speaking: "Speaking", paused: "Paused – listening", interrupted: "Interrupted", error: "Error" };

/** @param {import("../session.js").Session} session @returns {[string, string]} data-state and its word */
export function stateOf(session) {
  switch (session.phase) {
    case "idle": return ["off", "Not connected"];
    case "ended": return ["off", "Ended"];
    case "failed": return ["error", "Error"];
    case "reconnecting": return ["connecting", "Reconnecting"];
    case "live": return [session.floor.stage, FLOOR_WORDS[session.floor.stage]];
    default: return ["connecting", "Connecting"];
  }
}

/** @param {import("../session.js").Session} session @param {string} name @returns {[string, string, string]} title, hint, button */
function curtainOf(session, name) {
  const more = session.tries > 1 ? `Try ${session.tries}.` : "";
  switch (session.phase) {
    case "idle": return ["", `You talk or type, ${name} answers aloud.`, "Start talking"];
    case "creating": return session.words ? [session.words.title, "It goes on by itself.", ""] : ["Opening the conversation…", "", ""];
    case "waiting":
      if (session.queuePosition > 0) return [`You are number ${session.queuePosition} in line.`, "It starts by itself.", ""];
      return ["Waking up the avatar…", "The first time takes a few seconds.", ""];
    case "connecting": return ["Connecting sound and picture…", more, ""];
    case "reconnecting": return ["The connection was lost. Reconnecting…", more, ""];
    case "failed": return [session.words?.title ?? "", session.words?.hint ?? "", "Try again"];
    case "ended": return [session.words?.title ?? "", session.words?.hint ?? "", "Start again"];
    default: return ["", "", ""];
  }
}

export class Stage {
  #video = /** @type {HTMLVideoElement} */ (byId("video"));
  #soundBlocked = false;
  #mutedByPerson = false;
  #preview = "";
  #phase = "";

  /**
   * @param {import("../session.js").Session} session
   * @param {import("../voice.js").Voice} voice
   * @param {() => void} onConnect
   */
  constructor(session, voice, onConnect) {
    this.session = session;
    this.voice = voice;
    byId("connect").addEventListener("click", onConnect);
    byId("disconnect").addEventListener("click", () => {
      void session.disconnect();
      requestAnimationFrame(() => byId("connect").focus()); // once it is drawn
    });
    byId("stop").addEventListener("click", () => session.interrupt());
    byId("mute").addEventListener("click", () => this.#toggleSound());
    byId("preview").addEventListener("error", () => byId("preview").removeAttribute("src"));
  }

  /** Plays with sound where the browser lets it, without sound and with a button where not. @param {MediaStream | null} stream */
  async play(stream) {
    const video = this.#video;
    video.classList.remove("seen");
    video.srcObject = stream;
    if (!stream) return;
    const seen = () => video.classList.add("seen");
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(seen);
    else video.addEventListener("playing", seen, { once: true });
    video.muted = this.#mutedByPerson;
    this.#soundBlocked = false;
    await video.play().catch(async (error) => {
      if (error.name !== "NotAllowedError") return; // a newer stream took its place
      this.#soundBlocked = video.muted = true;
      await video.play().catch(() => {});
    });
    this.#renderSound();
  }

  /** @param {import("../api.js").Avatar | undefined} avatar */
  render(avatar) {
    const { phase, floor } = this.session;
    const [state, word] = stateOf(this.session);
    document.body.dataset.phase = phase;
    byId("state").dataset.state = state;
    setText(byId("state-word"), word);
    // Seen, not announced: a voice that tells the person that they speak would be heard by the microphone.
    const hearing = state === "listening" && (this.voice.holding || (this.voice.mode === "open" && floor.hearing));
    byId("state").classList.toggle("hearing", hearing);
    byId("state-hearing").hidden = !hearing;
    this.#renderPreview(avatar);
    const subtitle = phase === "live" ? floor.subtitle : "";
    byId("subtitle").classList.toggle("shown", Boolean(subtitle));
    setText(byId("subtitle-text"), subtitle);
    byId("stop").disabled = phase !== "live" || !floor.busy;
    byId("controls").hidden = !["creating", "waiting", "connecting", "live", "reconnecting"].includes(phase);
    const [title, hint, button] = curtainOf(this.session, avatar?.name || avatar?.id || "a face");
    byId("curtain").hidden = phase === "live";
    setText(byId("message-title"), title);
    setText(byId("message-hint"), hint);
    byId("spinner").hidden = button !== "" || phase === "live";
    byId("connect").hidden = button === "";
    setText(byId("connect"), button || "Start talking");
    if (phase !== this.#phase && button) byId("stage").scrollIntoView({ block: "nearest" }); // on a phone it may be out of view
    this.#phase = phase;
  }

  /** @param {import("../api.js").Avatar | undefined} avatar */
  #renderPreview(avatar) {
    const source = avatar ? previewUrl(avatar.id) : "";
    if (!avatar || source === this.#preview) return;
    this.#preview = source;
    byId("preview").src = source;
    byId("preview").alt = `Picture of ${avatar.name || avatar.id}`;
    this.#video.poster = source;
    // A face of another size does not move a page on which somebody talks: it is cut to fit.
    if (avatar.width && avatar.height && this.session.phase !== "live") byId("stage").style.setProperty("--aspect", String(avatar.width / avatar.height));
  }

  #toggleSound() {
    this.#soundBlocked = false;
    this.#video.muted = !this.#video.muted;
    this.#mutedByPerson = this.#video.muted;
    void this.#video.play().catch(() => {});
    this.#renderSound();
  }

  #renderSound() {
    byId("mute").classList.toggle("muted", this.#video.muted);
    byId("mute").classList.toggle("wanted", this.#soundBlocked);
    setText(byId("mute-word"), this.#video.muted ? "Unmute" : "Mute");
  }
}
