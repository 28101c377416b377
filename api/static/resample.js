/**
 * Sound at any rate to sound at a lower one, piece by piece without a seam: each output sample is the windowed sinc of
 * its neighbourhood, with everything above the new half rate taken out.
 */

const LOBES = 8; // of the sinc, to each side: 16 input samples at the same rate, 48 from 48 kHz to 16 kHz

export class Resampler {
  /** @type {Float32Array} what later output still needs */ #kept = new Float32Array(0);
  #position = 0; // of the next output sample, in input samples from the first one kept

  /** @param {number} from Hz @param {number} to Hz, not above `from` */
  constructor(from, to) {
    this.step = from / to;
    this.reach = LOBES * this.step;
  }

  /** The output that is complete with this input. @param {Float32Array} input @returns {Float32Array} */
  push(input) {
    const samples = new Float32Array(this.#kept.length + input.length);
    samples.set(this.#kept);
    samples.set(input, this.#kept.length);
    const count = Math.max(0, Math.ceil((samples.length - this.reach - this.#position) / this.step));
    const output = Float32Array.from({ length: count }, (_, i) => this.#at(samples, this.#position + i * this.step));
    this.#position += count * this.step;
    const used = Math.max(0, Math.floor(this.#position - this.reach));
    this.#kept = samples.slice(used);
    this.#position -= used;
    return output;
  }

  /** @param {Float32Array} samples @param {number} position */
  #at(samples, position) {
    const first = Math.max(0, Math.ceil(position - this.reach));
    const last = Math.min(samples.length - 1, Math.floor(position + this.reach));
    let sum = 0;
    for (let i = first; i <= last; i += 1) sum += samples[i] * kernel((i - position) / this.step);
    return sum / this.step;
  }
}

/** Sinc under a Hann window; 0 beyond LOBES. @param {number} x in output samples */
function kernel(x) {
  if (x === 0) return 1;
  const angle = Math.PI * x;
  return (Math.sin(angle) / angle) * (0.5 + 0.5 * Math.cos(angle / LOBES));
}

/** @param {Float32Array} samples in -1 … 1 @returns {Int16Array} */
export const toInt16 = (samples) => Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, Math.round(sample * 32768))));
