/**
 * One peer connection: the avatar's sound and picture come as one MediaStream, the person's microphone goes when it is open.
 *
 *     new Peer ── negotiate(exchange) ── connected() ── … ── onLost()   (failed, or disconnected for 2 s)
 *
 * A lost peer is not repaired: the session closes it and negotiates a new one. The microphone is put in and taken out
 * without a negotiation: its place is there from the start.
 */

import { ApiError } from "./api.js";

const GATHERING_MS = 1_000; // host candidates are there at once; a slow STUN server must not hold the offer back
const CONNECTED_WITHIN_MS = 10_000;
const DISCONNECTED_FOR_MS = 2_000; // shorter gaps heal by themselves

export class Peer {
  /** @type {number | undefined} */ #disconnected;
  #wasConnected = false;
  /** @type {RTCRtpTransceiver} */ #audio;

  /**
   * @param {RTCIceServer[]} iceServers
   * @param {(stream: MediaStream) => void} onStream called when the stream's first track is there
   * @param {() => void} onLost called once, after the peer had been connected
   */
  constructor(iceServers, onStream, onLost) {
    if (!globalThis.RTCPeerConnection) throw new ApiError(0, "webrtc_unsupported", "RTCPeerConnection is missing");
    this.onLost = onLost;
    this.pc = new RTCPeerConnection({ iceServers });
    this.#audio = this.pc.addTransceiver("audio", { direction: "sendrecv" });
    this.pc.addTransceiver("video", { direction: "recvonly" });
    const stream = new MediaStream();
    this.pc.addEventListener("track", ({ track }) => {
      stream.addTrack(track);
      if (stream.getTracks().length === 1) onStream(stream);
    });
    this.pc.addEventListener("connectionstatechange", () => this.#watch());
  }

  /** @param {(offer: RTCSessionDescriptionInit) => Promise<RTCSessionDescriptionInit>} exchange */
  async negotiate(exchange) {
    await this.pc.setLocalDescription(await this.pc.createOffer());
    await this.#gathered();
    const { sdp, type } = /** @type {RTCSessionDescription} */ (this.pc.localDescription);
    const { sdp: answer } = await exchange({ sdp, type });
    await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
  }

  /** Resolves when media can flow; throws an ApiError `webrtc_failed` when it cannot. @returns {Promise<void>} */
  connected() {
    return new Promise((resolve, reject) => {
      const failed = () => reject(new ApiError(0, "webrtc_failed", `connection ${this.pc.connectionState}`));
      const timer = setTimeout(failed, CONNECTED_WITHIN_MS);
      const look = () => {
        const state = this.pc.connectionState;
        if (state !== "connected" && state !== "failed" && state !== "closed") return;
        clearTimeout(timer);
        this.pc.removeEventListener("connectionstatechange", look);
        if (state === "connected") resolve();
        else failed();
      };
      this.pc.addEventListener("connectionstatechange", look);
      look();
    });
  }

  /** @param {MediaStreamTrack | null} track the open microphone; null: nothing is sent */
  send(track) {
    if (this.pc.signalingState !== "closed") void this.#audio.sender.replaceTrack(track).catch(() => {}); // closed meanwhile
  }

  close() {
    clearTimeout(this.#disconnected);
    this.#wasConnected = false;
    this.pc.close();
  }

  #watch() {
    const state = this.pc.connectionState;
    clearTimeout(this.#disconnected);
    if (state === "connected") this.#wasConnected = true;
    else if (state === "failed") this.#lost();
    else if (state === "disconnected") this.#disconnected = setTimeout(() => this.#lost(), DISCONNECTED_FOR_MS);
  }

  #lost() {
    if (!this.#wasConnected) return; // the one who waits in connected() hears of it there
    this.#wasConnected = false;
    this.onLost();
  }

  /** @returns {Promise<void>} */
  #gathered() {
    return new Promise((resolve) => {
      const look = () => this.pc.iceGatheringState === "complete" && resolve();
      this.pc.addEventListener("icegatheringstatechange", look);
      setTimeout(resolve, GATHERING_MS);
      look();
    });
  }
}
