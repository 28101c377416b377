/**
 * When this listener heard the first sound of a turn, by the browser's own clock (of `performance.now()`, ms).
 *
 * The received sound is looked at once a display frame, only between the end of the person's line and its first sound. It must have
 * been silent first: what still plays of the turn before, or was left in the analyser when it was put to sleep, is not
 * the new line.
 */

const AUDIBLE_RMS = 0.006;
const AUDIBLE = 0.006; // a single sample: where in the samples looked at the sound began
const SILENT_FOR_MS = 60;
const GIVE_UP_MS = 30_000;

export class HeardClock {
  /** @type {AudioContext | null} */ #context = null;
  /** @type {AnalyserNode | null} */ #analyser = null;
  #turn = 0;

  /** @param {MediaStream} stream */
  listenTo(stream) {
    this.close();
    if (!globalThis.AudioContext || !stream.getAudioTracks().length) return;
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    void this.#context.suspend();
  }

  /** @param {(heardMs: number) => void} onHeard */
  arm(onHeard) {
    const context = this.#context;
    const analyser = this.#analyser;
    if (!context || !analyser) return;
    const turn = (this.#turn += 1);
    const armedAt = performance.now();
    const samples = new Float32Array(analyser.fftSize);
    let silentSince = Infinity;
    void context.resume();
    const look = () => {
      if (turn !== this.#turn || context !== this.#context) return;
      const now = performance.now();
      analyser.getFloatTimeDomainData(samples);
      const audible = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length) > AUDIBLE_RMS;
      if (!audible) silentSince = Math.min(silentSince, now);
      else if (now - silentSince >= SILENT_FOR_MS) return this.#heard(now - sinceOnset(samples, context.sampleRate), onHeard);
      else silentSince = Infinity;
      if (now - armedAt < GIVE_UP_MS) requestAnimationFrame(look);
      else void context.suspend();
    };
    look();
  }

  close() {
    this.#turn += 1;
    void this.#context?.close();
    this.#context = this.#analyser = null;
  }

  /** @param {number} heardMs @param {(heardMs: number) => void} onHeard */
  #heard(heardMs, onHeard) {
    void this.#context?.suspend();
    onHeard(heardMs);
  }
}

/** How long ago the sound in these samples began, ms. @param {Float32Array} samples the latest is the last @param {number} rate */
function sinceOnset(samples, rate) {
  const onset = samples.findIndex((sample) => Math.abs(sample) > AUDIBLE);
  return onset === -1 ? 0 : ((samples.length - onset) / rate) * 1000;
}
