/**
 * What a person in front of the page would notice, counted: `window.onlooker`. Run in the page once the video plays.
 *
 *   frames      pictures shown so far; size [width, height], brightness mean and spread of the latest one
 *   motion      per picture: how much the mouth's region changed since the one before, and the state shown with it
 *   sound       10 ms blocks so far: loud ones, the run of quiet ones at the end, the loudest sample and step, samples at full scale
 *   states      every state shown
 *   subtitles   every text shown, with the number of loud blocks heard before it
 */
(() => {
  const LOUD_RMS = 0.01;
  const SIDE = 128;
  const MOUTH = [53, 71, 22, 19]; // x, y, width, height on a SIDE x SIDE picture of the presenter
  const video = document.getElementById("video");
  const stateNow = () => document.getElementById("state").dataset.state;
  const sound = { blocks: 0, loud: 0, quietRun: 0, peak: 0, maxStep: 0, fullScale: 0, energy: 0, samples: 0 };
  const onlooker = { frames: 0, size: [0, 0], brightness: 0, spread: 0, motion: [], sound, subtitles: [], states: [stateNow()] };

  const context = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
  const grey = (x, y, width, height) => {
    const { data } = context.getImageData(x, y, width, height);
    return Float32Array.from({ length: data.length / 4 }, (_, i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3);
  };
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  let lastMouth = null;
  function look() {
    context.drawImage(video, 0, 0, SIDE, SIDE);
    const picture = grey(0, 0, SIDE, SIDE);
    const mouth = grey(...MOUTH);
    onlooker.frames += 1;
    onlooker.size = [video.videoWidth, video.videoHeight];
    onlooker.brightness = mean(picture);
    onlooker.spread = Math.sqrt(mean(picture.map((value) => (value - onlooker.brightness) ** 2)));
    if (lastMouth) onlooker.motion.push({ state: stateNow(), change: mean(mouth.map((value, i) => Math.abs(value - lastMouth[i]))) });
    lastMouth = mouth;
    video.requestVideoFrameCallback(look);
  }
  video.requestVideoFrameCallback(look);

  let lastSample = 0;
  function hear(samples) {
    let energy = 0;
    for (const sample of samples) {
      energy += sample * sample;
      sound.peak = Math.max(sound.peak, Math.abs(sample));
      sound.fullScale += Number(Math.abs(sample) >= 0.999);
      sound.maxStep = Math.max(sound.maxStep, Math.abs(sample - lastSample));
      lastSample = sample;
    }
    const loud = Math.sqrt(energy / samples.length) > LOUD_RMS;
    sound.blocks += 1;
    sound.loud += Number(loud);
    sound.quietRun = loud ? 0 : sound.quietRun + 1;
    if (loud) [sound.energy, sound.samples] = [sound.energy + energy, sound.samples + samples.length];
  }
  async function listen() {
    const track = video.srcObject.getAudioTracks()[0].clone();
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
      const samples = new Float32Array(value.numberOfFrames);
      value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      value.close();
      hear(samples);
    }
  }
  void listen();

  const subtitle = document.getElementById("subtitle-text");
  new MutationObserver(() => {
    if (subtitle.textContent) onlooker.subtitles.push({ text: subtitle.textContent, loudBefore: sound.loud });
  }).observe(subtitle, { childList: true, characterData: true, subtree: true });
  const { states } = onlooker;
  new MutationObserver(() => stateNow() !== states.at(-1) && states.push(stateNow())).observe(document.getElementById("state"), { attributeFilter: ["data-state"] });
  Object.defineProperty(window, "onlooker", { value: onlooker, configurable: true });
})();
