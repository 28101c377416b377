/**
 * In the audio thread: what the microphone gives, as the server takes it. Posts ArrayBuffers of s16le at 16 kHz, mono, 40 ms
 * each; told to "stop", it posts the rest and then null.
 */

import { Resampler, toInt16 } from "./resample.js";

const RATE = 16_000;
const BLOCK = 640;

class PcmProcessor extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate, RATE);
  #block = new Int16Array(BLOCK);
  #filled = 0;
  #stopped = false;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.#stopped = true;
      this.#post();
      this.port.postMessage(null);
    };
  }

  /** @param {Float32Array[][]} inputs @returns {boolean} whether to be called again */
  process([[channel]]) {
    if (this.#stopped) return false;
    for (const sample of channel ? toInt16(this.#resampler.push(channel)) : []) {
      this.#block[this.#filled++] = sample;
      if (this.#filled === BLOCK) this.#post();
    }
    return true;
  }

  #post() {
    const { buffer } = this.#block.slice(0, this.#filled);
    this.#filled = 0;
    if (buffer.byteLength) this.port.postMessage(buffer, [buffer]);
  }
}

registerProcessor("pcm", PcmProcessor);
