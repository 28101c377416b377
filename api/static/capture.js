/** What can be done with the sound of an open microphone: its level looked at, and its samples recorded. */

const QUIETEST_DB = -62;
const LOUDEST_DB = -14;

/** How loud it is, for a meter: 0 … 1, even steps for even steps in decibels. @param {Float32Array} samples */
export function levelOf(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibels = 10 * Math.log10(power + 1e-12);
  return Math.max(0, Math.min(1, (decibels - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)));
}

export class Capture {
  #context = new AudioContext({ latencyHint: "interactive" });
  #analyser = this.#context.createAnalyser();
  #samples;
  #loading;
  /** @type {MediaStreamAudioSourceNode} */ #source;

  /** @param {MediaStream} stream */
  constructor(stream) {
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#source.connect(this.#analyser);
    this.#loading = this.#context.audioWorklet.addModule(new URL("pcm-worklet.js", import.meta.url));
    this.#loading.catch(() => {}); // the one who records hears of it
  }

  /** 0 … 1, now. */
  get level() {
    if (this.#context.state === "suspended") void this.#context.resume(); // after a reload it may need a click first
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return levelOf(this.#samples);
  }

  /**
   * @param {(pcm: ArrayBuffer) => void} onPcm gets s16le, 16 kHz, mono, from now on
   * @returns {Promise<() => Promise<void>>} stops it, and resolves after the last piece
   */
  async record(onPcm) {
    void this.#context.resume();
    await this.#loading;
    const node = new AudioWorkletNode(this.#context, "pcm", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    /** @type {Promise<void>} */
    const stopped = new Promise((resolve) => {
      node.port.onmessage = ({ data }) => (data === null ? resolve() : onPcm(data));
    });
    this.#source.connect(node);
    return async () => {
      if (this.#context.state !== "running") return;
      node.port.postMessage("stop");
      await stopped;
      this.#source.disconnect(node);
    };
  }

  close() {
    void this.#context.close();
  }
}
