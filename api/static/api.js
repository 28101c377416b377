/**
 * The HTTP API as the page uses it: one function a call, every failure an `ApiError` with the server's stable code.
 */

const PATIENCE_MS = 15_000;
const PREVIEW_PATIENCE_MS = 35_000; // the server gives a voice 30 s
const CREATE_PATIENCE_MS = 100_000; // creating a session may wait for a model to load

/** A call that did not succeed. `status` 0 means that no answer came at all. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} detail */
  constructor(status, code, detail) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/** Whether the session itself is over, not only one call to it. @param {unknown} error */
export const isGone = (error) =>
  error instanceof ApiError &&
  (error.status === 410 || error.code === "session_ended" || (error.status === 404 && !/avatar|model|turn|not_ready|not_loaded/.test(error.code)));

/**
 * @typedef {{id: string, name?: string, width?: number, height?: number, model_type?: string, is_custom?: boolean}} Avatar
 * @typedef {{id: string, connected: boolean, reason?: string, detail?: string}} ModelStatus
 * @typedef {{provider: string, voice_id: string, display_label: string, language?: string}} VoiceEntry
 * @typedef {{available: boolean, reason?: string, any_voice?: boolean}} EngineStatus
 * @typedef {import("./voices.js").Choice} Choice
 * @typedef {Record<string, string>} SessionHash  the Redis hash as it is: every value a string
 * @typedef {{llm?: {model?: string, embedded?: boolean}, tts?: Record<string, EngineStatus>, default_avatar?: string,
 *   default_model?: string, ice_servers?: RTCIceServer[], avatar_bytes?: {image: number, video: number}}} Health
 * @typedef {{first_sound_at?: number, first_frame_at?: number, jitter_buffer_ms?: number}} Seen  by the server's clock, seconds
 */

/** @param {string} path relative to the page, so that a proxy may serve it below a prefix */
export const url = (path) => new URL(path, document.baseURI).href;

/** @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
const call = async (method, path, body, patienceMs = PATIENCE_MS) =>
  (await answered(method, path, body, AbortSignal.timeout(patienceMs))).json().catch(() => null);

/** A success, whatever is in it. @param {string} method @param {string} path @param {object | undefined} body @param {AbortSignal} signal */
async function answered(method, path, body, signal) {
  let response;
  try {
    response = await fetch(url(path), {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
      cache: "no-store",
      signal,
    });
  } catch (error) {
    const timedOut = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(0, timedOut ? "timeout" : "unreachable", timedOut ? "The server took too long." : String(error));
  }
  if (!response.ok) {
    const answer = await response.json().catch(() => null);
    const detail = typeof answer?.detail === "string" ? answer.detail : response.statusText;
    throw new ApiError(response.status, answer?.code ?? `http_${response.status}`, detail);
  }
  return response;
}

/** @param {Choice} choice what it leaves open is the server's choice */
const spokenBy = ({ provider, voice }) => ({ tts_provider: provider || undefined, tts_voice: voice || undefined });

/** @param {string} id @param {string} [rest] */
const of = (id, rest = "") => `sessions/${encodeURIComponent(id)}${rest}`;

/** @returns {Promise<Health>} */
export const health = () => call("GET", "health");

/** @returns {Promise<Avatar[]>} */
export async function avatars() {
  const answer = await call("GET", "avatars");
  return Array.isArray(answer) ? answer : (answer?.avatars ?? []);
}

/** @returns {Promise<ModelStatus[]>} */
export const models = async () => (await call("GET", "models")).statuses ?? [];

/** @returns {Promise<VoiceEntry[]>} */
export const voices = async () => (await call("GET", "voices")).items ?? [];

/** A text in a voice. @param {Choice} choice @param {string} text @param {AbortSignal} signal @returns {Promise<Blob>} */
export async function previewVoice(choice, text, signal) {
  const patience = AbortSignal.any([signal, AbortSignal.timeout(PREVIEW_PATIENCE_MS)]);
  return (await answered("POST", "tts/preview", { text, ...spokenBy(choice) }, patience)).blob();
}

/** @param {string} id */
export const deleteAvatar = (id) => call("DELETE", `avatars/${encodeURIComponent(id)}`);

/** @param {string} id */
export const previewUrl = (id) => url(`avatars/${encodeURIComponent(id)}/preview`);
/** @param {string} id @param {string} lastEventId */
export const eventsUrl = (id, lastEventId) => url(`${of(id, "/events")}?last_event_id=${encodeURIComponent(lastEventId)}`);

/** @param {string} id */
export const microphoneUrl = (id) => url(of(id, "/speak_audio_stream")).replace(/^http/, "ws");

/** @param {string} avatarId @param {Choice} choice @returns {Promise<{session_id: string}>} */
export const createSession = (avatarId, choice) =>
  call("POST", "sessions", { avatar_id: avatarId, ...spokenBy(choice) }, CREATE_PATIENCE_MS);
/** @param {string} id @returns {Promise<SessionHash>} */
export const session = (id) => call("GET", of(id));
/** @param {string} id @param {RTCSessionDescriptionInit} offer @returns {Promise<RTCSessionDescriptionInit>} */
export const offer = (id, { sdp, type }) => call("POST", of(id, "/webrtc/offer"), { sdp, type });
/** @param {string} id @param {string} avatarId */
export const switchAvatar = (id, avatarId) => call("POST", of(id, "/avatar"), { avatar_id: avatarId });
/** Who speaks from the next turn on. @param {string} id @param {Choice} choice */
export const chooseVoice = (id, choice) => call("POST", of(id, "/voice"), spokenBy(choice));
/** @param {string} id */
export const start = (id) => call("POST", of(id, "/start"));
/** @param {string} id @param {string} prompt @returns {Promise<{generation?: number}>} */
export const chat = (id, prompt) => call("POST", of(id, "/chat"), { prompt });
/** @param {string} id @param {string} text @returns {Promise<{generation?: number}>} */
export const speak = (id, text) => call("POST", of(id, "/speak"), { text });
/** @param {string} id */
export const interrupt = (id) => call("POST", of(id, "/interrupt"));
/** @returns {Promise<{now: number}>} Unix seconds */
export const clock = () => call("GET", "clock");
/** @param {string} id @param {number} generation @param {Seen} seen */
export const seen = (id, generation, seen) => call("POST", of(id, `/turns/${generation}/seen`), seen);
/** @param {string} id */
export const close = (id) => call("DELETE", of(id));
