/** The pictures that were shown lately, by their RTP time stamps: which was the first one of a turn, and when. */

const KEPT = 128; // five seconds: the event that names a picture may come after it

/** @typedef {{timestamp: number, atMs: number}} Frame  `atMs`: of `performance.now()` */

/** @param {Frame[]} frames in their order @param {number} timestamp RTP, 32 bits that wrap around @returns {Frame | undefined} */
export const firstFrom = (frames, timestamp) => frames.find((frame) => ((frame.timestamp - timestamp) | 0) >= 0);

export class ShownFrames {
  /** @type {Frame[]} */ frames = [];
  #watching = 0;

  /** @param {HTMLVideoElement} video @param {() => void} onFrame */
  constructor(video, onFrame) {
    this.video = video;
    this.onFrame = onFrame;
  }

  /** From now on, until `rest`. */
  watch() {
    this.frames = [];
    const watching = (this.#watching += 1);
    const look = (/** @type {number} */ now, /** @type {VideoFrameCallbackMetadata} */ { rtpTimestamp, expectedDisplayTime }) => {
      if (watching !== this.#watching) return;
      if (rtpTimestamp !== undefined) {
        this.frames.push({ timestamp: rtpTimestamp, atMs: expectedDisplayTime ?? now });
        if (this.frames.length > KEPT) this.frames.shift();
        this.onFrame();
      }
      this.video.requestVideoFrameCallback(look);
    };
    this.video.requestVideoFrameCallback?.(look);
  }

  rest() {
    this.#watching += 1;
    this.frames = [];
  }
}
