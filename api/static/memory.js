/**
 * What the page remembers: which session this tab is in, across reloads, how this person likes to speak, and which voice
 * they like to hear. A duplicated tab copies the storage: the lock keeps two pages from pulling one session's video back
 * and forth.
 */

const KEY = "opentalking.session";
const VOICE = "opentalking.voice"; // in the tab: whether the microphone is open; in the browser: the way preferred
const DEVICE = "opentalking.microphone";
const SPEAKER = "opentalking.speaker"; // whose voice the avatar has
const CLAIM_PATIENCE_MS = 600; // a reloading page gives its lock up a moment after the new one has started

/** @type {(() => void) | null} */
let release = null;
let claimed = "";

export const recall = () => sessionStorage.getItem(KEY);

/** @param {string} id */
export const remember = (id) => sessionStorage.setItem(KEY, id);

export function forget() {
  sessionStorage.removeItem(KEY);
  release?.();
  release = null;
  claimed = "";
}

/** Whether this tab may use the session. @param {string} id @returns {Promise<boolean>} */
export function claim(id) {
  if (claimed === id || !navigator.locks) return Promise.resolve(true); // plain http on a network: no locks, no protection
  return new Promise((resolve) => {
    navigator.locks
      .request(`${KEY}:${id}`, { signal: AbortSignal.timeout(CLAIM_PATIENCE_MS) }, () => {
        claimed = id;
        resolve(true);
        return new Promise((/** @type {(value?: unknown) => void} */ done) => (release = done));
      })
      .catch(() => resolve(false));
  });
}

/** @returns {"hold" | "open"} */
export const recallVoice = () => (localStorage.getItem(VOICE) === "hold" ? "hold" : "open");
/** @param {"hold" | "open"} mode */
export const rememberVoice = (mode) => localStorage.setItem(VOICE, mode);
export const voiceWasOn = () => sessionStorage.getItem(VOICE) === "on";
/** @param {boolean} on */
export const rememberVoiceIsOn = (on) => (on ? sessionStorage.setItem(VOICE, "on") : sessionStorage.removeItem(VOICE));
export const recallDevice = () => localStorage.getItem(DEVICE) ?? "";
/** @param {string} id */
export const rememberDevice = (id) => (id ? localStorage.setItem(DEVICE, id) : localStorage.removeItem(DEVICE));

/** @returns {import("./voices.js").Choice} the server's choice, if nothing else was ever chosen */
export function recallSpeaker() {
  try {
    const { provider, voice } = JSON.parse(localStorage.getItem(SPEAKER) ?? "{}");
    if (typeof provider === "string" && typeof voice === "string") return { provider, voice };
  } catch { // not what this page wrote
    localStorage.removeItem(SPEAKER);
  }
  return { provider: "", voice: "" };
}

/** @param {import("./voices.js").Choice} choice */
export const rememberSpeaker = ({ provider, voice }) =>
  provider ? localStorage.setItem(SPEAKER, JSON.stringify({ provider, voice })) : localStorage.removeItem(SPEAKER);
