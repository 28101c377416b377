/**
 * The latency of one turn, stage by stage: from `speech.timing` (milliseconds since the server accepted the line, or
 * since the person stopped speaking) to rows of a waterfall, each beginning where the one before ended.
 */

/**
 * @typedef {{generation?: number, kind?: string, speech_ended_at?: number, vad_decision_ms?: number, stt_final_ms?: number,
 *   turn_committed_ms?: number, llm_first_token_ms?: number, first_fragment_ms?: number, tts_first_pcm_ms?: number,
 *   first_av_ms?: number, first_rtp_ms?: number, browser_first_sound_ms?: number, browser_first_frame_ms?: number}} Timing
 * @typedef {{heardMs: number | null, seenMs: number | null}} Here  what this browser itself has measured
 * @typedef {{stage: string, label: string, what: string, startMs: number, endMs: number} |
 *   {stage: string, label: string, what: string, startMs: null, endMs: null}} Row
 */

const LISTENING = [
  { stage: "silence", label: "Silence", what: "silence noticed, since you stopped speaking", from: "vad_decision_ms" },
  { stage: "words", label: "Your words", what: "your words recognised", from: "stt_final_ms" },
  { stage: "turn", label: "Your turn over", what: "decided that you have finished", from: "turn_committed_ms" },
];
const ANSWERING = [
  { stage: "llm", label: "Language model", what: "first word of the answer", from: "llm_first_token_ms" },
  { stage: "sentence", label: "First phrase", what: "enough words to begin speaking", from: "first_fragment_ms" },
  { stage: "voice", label: "Voice", what: "first synthesised sound", from: "tts_first_pcm_ms" },
  { stage: "face", label: "Face", what: "first frame with its sound", from: "first_av_ms" },
  { stage: "sent", label: "Sent", what: "first packet on the network", from: "first_rtp_ms" },
];
const HEARD = { stage: "heard", label: "Heard here", what: "first sound in this browser", from: "browser_first_sound_ms" };
const SEEN = { stage: "seen", label: "Seen here", what: "first picture of it in this browser", from: "browser_first_frame_ms" };

/** The stages of a line that was typed, and of one that was spoken; as many for every such line, so that nothing moves. */
const TYPED = [...ANSWERING, { ...HEARD, what: "first sound in this browser, since you pressed send" }];
const SPOKEN = [...LISTENING, ...ANSWERING, HEARD, SEEN];

/** @param {Timing | null} timing */
export const isSpoken = (timing) => timing?.speech_ended_at !== undefined;

/** @param {Timing | null} timing @param {Here} here @returns {Row[]} */
export function rows(timing, { heardMs, seenMs }) {
  /** @type {Record<string, any>} */
  const reached = { ...timing };
  if (heardMs !== null) reached.browser_first_sound_ms = heardMs;
  if (seenMs !== null) reached.browser_first_frame_ms = seenMs;
  let startMs = 0;
  return (isSpoken(timing) ? SPOKEN : TYPED).map(({ stage, label, what, from }) => {
    const at = reached[from];
    if (typeof at !== "number") return { stage, label, what, startMs: null, endMs: null };
    const row = { stage, label, what, startMs: Math.max(0, Math.min(startMs, at)), endMs: Math.max(0, at) };
    startMs = Math.max(startMs, at);
    return row;
  });
}

/** The longest moment of the waterfall, in ms; 0 when there is none. @param {Row[]} all */
export const totalMs = (all) => Math.max(0, ...all.map((row) => row.endMs ?? 0));

/** @param {number} ms */
export const inWords = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
