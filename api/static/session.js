/**
 * One conversation with the server, from the click to the end of it.
 *
 *     idle ─ start ─> creating ─> waiting ─> connecting ─> live <─> reconnecting
 *                        └───────────┴───────────┴──────────┴─────────┴──> failed | ended ─ start ─> creating
 *
 *     waiting       the workers load the avatar, or the line of waiting people moves
 *     connecting    offer, answer, ICE
 *     reconnecting  the connection is lost; a new offer on the same session, with growing pauses
 *     failed        something is in the way (`words`); ended: the session is over (`words` says why)
 *
 * Every start, disconnect and reconnect raises `#attempt`; what an older attempt still awaits is dropped when it arrives.
 */

import { createWhenStarted, firstLiveGeneration, isOver, sleep, whenReady } from "./admission.js";
import * as api from "./api.js";
import { Conversation } from "./conversation.js";
import { EventFeed } from "./events.js";
import { Floor } from "./floor.js";
import * as memory from "./memory.js";
import { Peer } from "./rtc.js";
import { Speaker } from "./speaker.js";
import { explain, explainEnd } from "./words.js";
import { explainFallback } from "./voices.js";
import { Witness } from "./witness.js";

/** @typedef {"idle"|"creating"|"waiting"|"connecting"|"live"|"reconnecting"|"failed"|"ended"} Phase */

const BACK_OFF_MS = [500, 1_000, 2_000, 4_000, 4_000, 4_000];
const FIRST_TRIES = 3;
const RECOGNISED_WITHIN_MS = 6_000; // what is not, once the person is silent, was nothing
const LOST = new Set(["none", "disconnected", "lost"]);

class Superseded extends Error {}

export class Session {
  /** @type {Phase} */ phase = "idle";
  /** @type {string | null} */ id = null;
  /** @type {import("./words.js").Words | null} */ words = null;
  /** @type {import("./words.js").Words | null} a passing trouble while the conversation goes on */ notice = null;
  avatarId = ""; // whose face it is
  switching = ""; // whose it is going to be, until it is on screen
  queuePosition = 0;
  tries = 0;
  /** @type {import("./waterfall.js").Timing | null} */ timing = null;
  /** @type {Peer | null} */ peer = null;
  /** @type {RTCIceServer[]} */ iceServers = [];
  conversation = new Conversation();
  #attempt = 0;
  /** @type {EventFeed | null} */ #feed = null;
  /** @type {MediaStreamTrack | null} the open microphone */ #track = null;
  /** @type {number | undefined} */ #unsaid;
  #nudge = () => {};
  /** @type {Set<() => void>} */ #watchers = new Set();

  /** @param {{onChange: () => void, onStream: (stream: MediaStream | null) => void, video: HTMLVideoElement}} view */
  constructor({ onChange, onStream, video }) {
    this.onChange = onChange;
    this.onStream = onStream;
    this.witness = new Witness(video, () => this.#changed());
    this.floor = new Floor(() => this.#changed());
    this.speaker = new Speaker(() => {
      this.notice = null;
      this.#changed();
    }, (error, id) => this.#voiceRefused(error, id));
  }

  /** The person wants in; what it takes is still being found out. */
  opening() {
    this.#begin("creating");
  }

  /** A new session with this avatar. @param {string} avatarId */
  async start(avatarId) {
    this.avatarId = avatarId;
    const attempt = this.#begin("creating");
    await this.#guard(attempt, async () => {
      const { id, asked } = await this.#create(avatarId, attempt);
      if (attempt !== this.#attempt) return void api.close(id).catch(() => {});
      if (asked !== this.speaker.choice) void this.speaker.tell(id, asked); // chosen meanwhile
      memory.remember(id);
      await memory.claim(id);
      this.conversation.newSession();
      await this.#attach(id, attempt, 0);
    });
  }

  /** With the voice that is chosen, or the server's own if that is not to be had any more. @param {string} avatarId @param {number} attempt */
  async #create(avatarId, attempt) {
    for (;;) {
      let asked = this.speaker.choice;
      try {
        const made = await createWhenStarted(avatarId, () => (asked = this.speaker.choice), (error) => {
          this.#still(attempt);
          this.words = explain(error);
          this.#changed();
        });
        return { id: made.session_id, asked };
      } catch (error) {
        if (!this.speaker.forgetIfGone(/** @type {api.ApiError} */ (error), asked)) throw error;
        this.notice = explain({ code: "voice_forgotten" });
      }
    }
  }

  /** The session this tab was in before a reload. @returns {Promise<string | null>} its avatar, or null when it is gone */
  async resume() {
    const id = memory.recall();
    const hash = id && (await memory.claim(id)) ? await this.#record(id) : null;
    if (!id || !hash || isOver(hash)) {
      memory.forget();
      this.#enter("idle");
      return null;
    }
    const attempt = this.#begin("waiting");
    this.avatarId = hash.avatar_id ?? "";
    this.speaker.adopt(hash);
    this.conversation = this.conversation.unsent(); // the feed replays the rest
    void this.#guard(attempt, () => this.#attach(id, attempt, firstLiveGeneration(hash)));
    return this.avatarId;
  }

  /** The person leaves. */
  async disconnect() {
    const id = this.id;
    this.#release();
    this.#enter("idle");
    if (id) await api.close(id).catch(() => {});
  }

  /** The page goes away; the session stays for a reload. */
  leave() {
    this.#attempt += 1;
    this.#feed?.close();
    this.peer?.close();
    this.peer = null;
  }

  /** Sends a line as soon as the avatar is there. @param {import("./conversation.js").Kind} kind @param {string} text */
  async say(kind, text) {
    const turn = this.conversation.sent(kind, text);
    this.notice = null;
    this.#changed();
    try {
      await this.#live();
      this.floor.sent();
      this.witness.arm();
      await (kind === "ask" ? api.chat : api.speak)(/** @type {string} */ (this.id), text);
    } catch (error) {
      this.conversation.failed(turn, explain(/** @type {api.ApiError} */ (error)));
      this.floor.failed();
      if (api.isGone(error)) this.#end(explain(/** @type {api.ApiError} */ (error)));
    }
  }

  /** Another face for this conversation; what is being said goes on in it. @param {string} avatarId */
  async wear(avatarId) {
    if (this.phase !== "live" || !this.id) return;
    this.switching = avatarId;
    this.notice = null;
    this.#changed();
    try {
      await api.switchAvatar(this.id, avatarId);
    } catch (error) {
      if (this.switching === avatarId) this.switching = "";
      if (api.isGone(error)) return this.#end(explain(/** @type {api.ApiError} */ (error)));
      this.notice = explain(/** @type {api.ApiError} */ (error));
      this.#changed();
    }
  }

  /** The server does not give this conversation that voice. @param {api.ApiError} error @param {string} id */
  #voiceRefused(error, id) {
    if (id !== this.id) return;
    if (api.isGone(error)) return this.#end(explain(error));
    this.notice = explain(error);
    this.#changed();
  }

  /** Resolves when this face is on screen, or is not going to be. @param {string} avatarId @returns {Promise<void>} */
  shows(avatarId) {
    return new Promise((resolve) => {
      const look = () => {
        if (this.phase === "live" && this.avatarId !== avatarId && this.switching === avatarId) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** The open microphone, for this connection and those to come. @param {MediaStreamTrack | null} track */
  send(track) {
    this.#track = track;
    this.peer?.send(track);
  }

  /** The button was let go at once. */
  slipped() {
    this.notice = explain({ code: "press_too_short" });
    this.#changed();
  }

  /** Nothing came of an utterance. @param {api.ApiError} error */
  misheard(error) {
    if (api.isGone(error)) return this.#end(explain(error));
    this.notice = explain(error);
    this.#nothingWasSaid();
  }

  async interrupt() {
    if (!this.id || !this.floor.busy) return;
    try {
      const { generation } = await api.interrupt(this.id);
      this.floor.stopped(generation);
    } catch (error) {
      this.notice = explain(/** @type {api.ApiError} */ (error));
      this.#changed();
    }
  }

  /** @param {string} id @returns {Promise<api.SessionHash | null>} null when the session is gone */
  async #record(id) {
    try {
      return await api.session(id);
    } catch (error) {
      if (api.isGone(error)) return null;
      throw error;
    }
  }

  /** @param {string} id @param {number} attempt @param {number} firstGeneration */
  async #attach(id, attempt, firstGeneration) {
    this.id = id;
    this.floor.reset(firstGeneration);
    this.#feed = new EventFeed(id, (name, data) => this.#onEvent(name, data), () => void this.#verify());
    await this.#connect(attempt, FIRST_TRIES);
  }

  /** Offers again and again until media flows. @param {number} attempt @param {number} tries */
  async #connect(attempt, tries) {
    for (let count = 0; ; count += 1) {
      try {
        return await this.#connectOnce(attempt);
      } catch (error) {
        if (attempt !== this.#attempt) throw new Superseded();
        const last = count + 1 >= tries;
        if (last || api.isGone(error) || /** @type {api.ApiError} */ (error).code === "webrtc_unsupported") throw error;
        this.tries = count + 2;
        this.#changed();
        await sleep(BACK_OFF_MS[Math.min(count, BACK_OFF_MS.length - 1)]);
      }
    }
  }

  /** @param {number} attempt */
  async #connectOnce(attempt) {
    const id = /** @type {string} */ (this.id);
    if (this.phase !== "reconnecting") this.#enter("waiting");
    const { state, avatar_id: avatarId } = await whenReady(id, () => {
      this.#still(attempt);
      return new Promise((resolve) => (this.#nudge = () => resolve(undefined)));
    });
    this.avatarId = avatarId ?? this.avatarId; // it may have changed while nothing was connected
    if (this.phase !== "reconnecting") this.#enter("connecting");
    this.peer?.close();
    const peer = new Peer(this.iceServers, (stream) => this.onStream(stream), () => void this.#reconnect());
    this.peer = peer;
    peer.send(this.#track);
    await peer.negotiate((offer) => api.offer(id, offer));
    this.#still(attempt);
    if (state === "worker_ready") await api.start(id);
    await peer.connected();
    this.#still(attempt);
    this.witness.attend(id, peer.pc);
    this.#enter("live");
  }

  async #reconnect() {
    if (this.phase !== "live") return;
    const attempt = (this.#attempt += 1);
    this.tries = 1;
    this.#enter("reconnecting");
    await this.#guard(attempt, () => this.#connect(attempt, BACK_OFF_MS.length));
  }

  /** The feed hints that something is off; the session's record says what. */
  async #verify() {
    if (this.phase !== "live" || !this.id) return;
    const attempt = this.#attempt;
    const hash = await this.#record(this.id).catch(() => undefined); // no answer: the connection itself will tell
    if (hash === undefined || attempt !== this.#attempt) return;
    if (!hash || isOver(hash)) this.#end(explainEnd(hash?.ended_reason ?? ""));
    else if (LOST.has(hash.peer)) await this.#reconnect();
  }

  /** @param {string} name @param {any} data */
  #onEvent(name, data) {
    if (name === "session.terminated") return this.#end(explainEnd(data.reason ?? ""));
    if (name === "session.peer" && data.state === "lost") return void this.#verify();
    if (name === "session.queued") this.queuePosition = data.position ?? 0;
    if (name === "session.queued" || name === "session.state_changed") this.#nudge();
    if (name === "speech.timing") this.timing = data;
    if (name === "error" && data.generation === undefined && this.phase === "live") this.notice = explain(data);
    if (name === "error" && data.code === "AVATAR_FAILED") this.switching = "";
    if (this.phase === "live") this.#attend(name, data);
    this.conversation.apply(name, data);
    this.floor.apply(name, data);
    this.#changed();
  }

  /** What is happening now, not replayed. @param {string} name @param {any} data */
  #attend(name, data) {
    if (name === "session.avatar") {
      this.avatarId = data.avatar_id;
      if (this.switching === data.avatar_id) this.switching = "";
    } else if (name === "tts" && data.stage === "fallback") {
      this.notice = explainFallback(data);
    } else if (name === "listening") {
      clearTimeout(this.#unsaid);
      if (data.state === "listening") this.#unsaid = setTimeout(() => this.#nothingWasSaid(), RECOGNISED_WITHIN_MS);
    } else if (name === "transcript") {
      this.notice = null;
      if (data.is_final && data.text) this.witness.arm();
    } else if ((data.generation ?? 0) >= this.floor.generation) this.witness.apply(name, data);
  }

  #nothingWasSaid() {
    this.conversation.unsaid();
    this.#changed();
  }

  /** Runs one attempt; its failure is this page's state, never an unhandled rejection. @param {number} attempt @param {() => Promise<unknown>} work */
  async #guard(attempt, work) {
    try {
      await work();
    } catch (error) {
      if (attempt !== this.#attempt || error instanceof Superseded) return;
      const words = explain(/** @type {api.ApiError} */ (error));
      if (api.isGone(error) && this.id) this.#end(words);
      else this.fail(words);
    }
  }

  /** @param {import("./words.js").Words} words */
  fail(words) {
    this.peer?.close();
    this.#feed?.close();
    this.#attempt += 1;
    this.words = words;
    this.#enter("failed");
  }

  /** @param {import("./words.js").Words} words */
  #end(words) {
    if (this.phase === "idle" || this.phase === "ended") return;
    this.#release();
    this.words = words;
    this.#enter("ended");
  }

  #release() {
    this.#attempt += 1;
    this.#feed?.close();
    this.peer?.close();
    this.witness.leave();
    this.peer = this.#feed = this.id = null;
    this.switching = "";
    memory.forget();
    this.conversation.over();
    this.onStream(null);
    this.floor.reset();
  }

  /** @param {Phase} phase */
  #begin(phase) {
    this.leave();
    this.tries = this.queuePosition = 0;
    this.switching = "";
    this.timing = this.words = this.notice = null;
    this.#enter(phase);
    return this.#attempt;
  }

  /** @param {number} attempt */
  #still(attempt) {
    if (attempt !== this.#attempt) throw new Superseded();
  }

  /** Resolves when the session is live, throws in words when it cannot become so. @returns {Promise<void>} */
  #live() {
    return new Promise((resolve, reject) => {
      const look = () => {
        const over = this.phase === "failed" || this.phase === "ended" || this.phase === "idle";
        if (this.phase !== "live" && !over) return;
        this.#watchers.delete(look);
        if (over) reject(new api.ApiError(0, "not_sent", ""));
        else resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** @param {Phase} phase */
  #enter(phase) {
    this.phase = phase;
    this.#changed();
  }

  #changed() {
    for (const look of [...this.#watchers]) look();
    this.onChange();
  }
}
