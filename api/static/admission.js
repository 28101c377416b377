/**
 * The waits before a conversation: for a server that is still starting, and for the workers that load the avatar.
 * Events wake; the session's own record decides.
 */

import * as api from "./api.js";

const LOOK_AGAIN_MS = 1_000;
const STARTED_WITHIN_MS = 60_000;
const READY_WITHIN_MS = 120_000;
const READY = new Set(["worker_ready", "ready", "speaking"]);
const OVER = new Set(["error", "closing", "closed"]);

/** @param {number} ms */
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {{state?: string}} hash */
export const isOver = (hash) => OVER.has(hash.state ?? "");

/**
 * Creates a session; a server without workers has only just been started and is asked again.
 * @param {string} avatarId
 * @param {() => import("./voices.js").Choice} speaker who is to speak, asked each time
 * @param {(error: api.ApiError) => void} onStarting called before each wait; throws to give up
 */
export async function createWhenStarted(avatarId, speaker, onStarting) {
  const deadline = performance.now() + STARTED_WITHIN_MS;
  for (;;) {
    try {
      return await api.createSession(avatarId, speaker());
    } catch (error) {
      if (!(error instanceof api.ApiError) || error.code !== "no_workers" || performance.now() > deadline) throw error;
      onStarting(error);
      await sleep(LOOK_AGAIN_MS);
      onStarting(error);
    }
  }
}

/**
 * @param {string} id
 * @param {() => Promise<unknown>} nudged called before each look: a promise that an event resolves; throws to give up
 * @returns {Promise<api.SessionHash>} the record of a session whose three workers are there
 */
export async function whenReady(id, nudged) {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (performance.now() < deadline) {
    const woken = nudged();
    const hash = await api.session(id);
    if (READY.has(hash.state)) return hash;
    if (isOver(hash)) throw new api.ApiError(410, "session_over", hash.ended_reason ?? "");
    await Promise.race([woken, sleep(LOOK_AGAIN_MS)]);
  }
  throw new api.ApiError(0, "never_ready", "");
}

/** The first generation that is not history when a session is taken up again. @param {api.SessionHash} hash */
export function firstLiveGeneration(hash) {
  const generation = Number(hash.generation ?? 0);
  const ended = hash.last_turn ? JSON.parse(hash.last_turn).generation : -1;
  return ended === generation && hash.state !== "speaking" ? generation + 1 : generation;
}
