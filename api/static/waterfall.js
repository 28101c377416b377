/**
 * The latency of one turn, stage by stage: from `speech.timing` (milliseconds since the server accepted the line) to
 * rows of a waterfall, each beginning where the one before ended.
 */

/**
 * @typedef {{generation?: number, kind?: string, llm_first_token_ms?: number, first_fragment_ms?: number,
 *   tts_first_pcm_ms?: number, first_av_ms?: number, first_rtp_ms?: number}} Timing
 * @typedef {{stage: string, label: string, what: string, startMs: number, endMs: number} |
 *   {stage: string, label: string, what: string, startMs: null, endMs: null}} Row
 */

const STAGES = [
  { stage: "llm", label: "Language model", what: "first word of the answer", from: "llm_first_token_ms" },
  { stage: "sentence", label: "First phrase", what: "enough words to begin speaking", from: "first_fragment_ms" },
  { stage: "voice", label: "Voice", what: "first synthesised sound", from: "tts_first_pcm_ms" },
  { stage: "face", label: "Face", what: "first frame with its sound", from: "first_av_ms" },
  { stage: "sent", label: "Sent", what: "first packet on the network", from: "first_rtp_ms" },
  { stage: "heard", label: "Heard here", what: "first sound in this browser, since you pressed send", from: "heard_ms" },
];

/** @param {Timing | null} timing @param {number | null} heardMs @returns {Row[]} always six, so that nothing moves */
export function rows(timing, heardMs) {
  const reached = { ...timing, heard_ms: heardMs ?? undefined };
  let startMs = 0;
  return STAGES.map(({ stage, label, what, from }) => {
    const at = timing ? reached[/** @type {keyof typeof reached} */ (from)] : undefined;
    if (typeof at !== "number") return { stage, label, what, startMs: null, endMs: null };
    const row = { stage, label, what, startMs: Math.min(startMs, at), endMs: at };
    startMs = Math.max(startMs, at);
    return row;
  });
}

/** The longest moment of the waterfall, in ms; 0 when there is none. @param {Row[]} all */
export const totalMs = (all) => Math.max(0, ...all.map((row) => row.endMs ?? 0));

/** @param {number} ms */
export const inWords = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
