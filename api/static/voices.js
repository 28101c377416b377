/** What can speak: the engines as groups, their voices as rows, and in words why an engine cannot be used. */

import { asSentence } from "./words.js";

/**
 * @typedef {{provider: string, voice: string}} Choice  both empty: the server's choice
 * @typedef {{label: string, detail: string, language: string, choice: Choice}} Row
 * @typedef {{provider: string, name: string, note: string, usable: boolean, anyVoice: boolean, rows: Row[], hidden: number}} Group
 * @typedef {{query: string, language: string, whole: Set<string>}} Filter  `whole`: engines all of whose voices are shown
 */

const FEW = 8; // voices of an engine that are shown at once; of more, a few until they are asked for
const SHOWN_OF_MANY = 6;

/** @type {Record<string, [string, string]>} what people call them, and where they speak */
const ENGINES = {
  piper: ["Piper", "Natural, on this server, offline"],
  espeak: ["eSpeak NG", "A robot in a hundred languages, on this server, offline"],
  edge: ["Edge", "Microsoft's service, needs the network"],
  openai_compatible: ["OpenAI-compatible", "The speech server that this one is set up for"],
  elevenlabs: ["ElevenLabs", "A service on the network"],
  dashscope: ["Qwen realtime", "Alibaba's DashScope, on the network"],
  cosyvoice: ["CosyVoice", "Alibaba's DashScope, on the network"],
  sambert: ["Sambert", "Alibaba's DashScope, on the network"],
};

/** @type {Record<string, string>} by base language; a voice of any other counts to five */
const SAMPLES = {
  ar: "مرحبا! هكذا يبدو صوتي عندما أتحدث.",
  cs: "Dobrý den! Takhle zním, když mluvím.",
  de: "Hallo! So klinge ich, wenn ich spreche.",
  en: "Hello! This is how I sound when I speak.",
  es: "¡Hola! Así sueno cuando hablo.",
  fr: "Bonjour ! Voici comment je parle.",
  hi: "नमस्ते! मेरी आवाज़ ऐसी है।",
  it: "Ciao! Ecco come suona la mia voce.",
  ja: "こんにちは。わたしの声はこんな感じです。",
  ko: "안녕하세요. 제 목소리는 이렇습니다.",
  nl: "Hallo! Zo klink ik als ik praat.",
  pl: "Dzień dobry! Tak brzmię, kiedy mówię.",
  pt: "Olá! É assim que eu falo.",
  ru: "Здравствуйте! Вот так звучит мой голос.",
  sv: "Hej! Så här låter jag när jag pratar.",
  tr: "Merhaba! Konuşurken sesim böyle.",
  uk: "Добрий день! Ось так звучить мій голос.",
  yue: "你好！我講嘢就係咁樣。",
  zh: "你好！这就是我说话的声音。",
};
const COUNTING = "1, 2, 3, 4, 5.";

const NAMES = new Intl.DisplayNames(["en"], { type: "language", fallback: "none" });

/** @param {string} code BCP 47, or with an underscore */
function languageName(code) {
  try {
    return NAMES.of(code.replaceAll("_", "-")) ?? "";
  } catch { // engines have codes of their own
    return "";
  }
}

/** "en" of "en_US"; Mandarin is Chinese. @param {string} code */
export function baseOf(code) {
  const base = code.toLowerCase().split(/[-_]/)[0];
  return base === "cmn" ? "zh" : base;
}

/** @param {string} provider */
export const engineName = (provider) => ENGINES[provider]?.[0] ?? provider;

/** A short sentence to hear a voice by. @param {string} language empty: whatever is spoken */
export const sampleFor = (language) => (language ? (SAMPLES[baseOf(language)] ?? COUNTING) : SAMPLES.en);

/** @param {Choice} one @param {Choice} other */
export const sameVoice = (one, other) => one.provider === other.provider && one.voice === other.voice;

/** Why an engine cannot be used, and what to do. @param {string} reason as the server writes it */
export function whyNot(reason) {
  const setting = /^set (OPENTALKING_\w+)$/.exec(reason);
  if (setting) return `Set ${setting[1]} in .env, then run again.`;
  return reason ? asSentence(reason) : "It cannot be used on this server.";
}

/** @param {import("./api.js").VoiceEntry} voice @returns {Row} */
function rowOf({ provider, voice_id: voice, display_label: label, language = "" }) {
  const whole = label.trim(), ending = `(${language})`;
  const bare = whole.endsWith(ending) ? whole.slice(0, -ending.length).trimEnd() : whole;
  const name = bare.charAt(0).toUpperCase() + bare.slice(1);
  const spoken = languageName(language) || language;
  const told = [languageName(baseOf(language)), spoken].some((one) => one && name.toLowerCase().includes(one.toLowerCase()));
  return { label: name, detail: told ? "" : spoken, language, choice: { provider, voice } };
}

/** Every language that has a voice, by name, those that the person reads first. @param {import("./api.js").VoiceEntry[]} voices @param {readonly string[]} read */
export function languages(voices, read = navigator.languages) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { language } of voices) if (language) counts.set(baseOf(language), (counts.get(baseOf(language)) ?? 0) + 1);
  const mine = new Set(read.map(baseOf));
  const all = [...counts].map(([code, count]) => ({ code, name: languageName(code) || code, count }));
  const order = (/** @type {{code: string}} */ { code }) => (mine.has(code) ? 0 : 1);
  return all.sort((one, other) => order(one) - order(other) || one.name.localeCompare(other.name));
}

/**
 * @param {import("./api.js").VoiceEntry[]} voices @param {Record<string, import("./api.js").EngineStatus>} engines
 * @param {Filter} filter @param {Choice} current whose voice is in use; it is never left out for want of room
 * @param {readonly string[]} read languages that the person reads: of many voices, those come first
 * @returns {Group[]} those that can be used first; none that has nothing of what is looked for
 */
export function groups(voices, engines, { query, language, whole }, current, read = navigator.languages) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const mine = new Set(read.map(baseOf));
  const looking = words.length > 0 || language !== "";
  const all = Object.entries(engines).map(([provider, status]) => {
    const name = engineName(provider);
    const own = status.available ? voices.filter((voice) => voice.provider === provider).map(rowOf) : [];
    if (status.available && !own.length) own.push({ label: "Its own voice", detail: "", language: "", choice: { provider, voice: "" } });
    const found = own.filter((row) => {
      const text = `${name} ${row.label} ${row.detail} ${row.choice.voice}`.toLowerCase();
      return (!language || baseOf(row.language) === language) && words.every((word) => text.includes(word));
    });
    const rank = (/** @type {Row} */ row) => (sameVoice(row.choice, current) ? 0 : mine.has(baseOf(row.language)) ? 1 : 2);
    const few = looking || whole.has(provider) || found.length <= FEW;
    const rows = few ? found : [...found].sort((one, other) => rank(one) - rank(other)).slice(0, SHOWN_OF_MANY);
    const note = status.available ? (ENGINES[provider]?.[1] ?? "") : whyNot(status.reason ?? "");
    return { provider, name, note, usable: status.available, anyVoice: status.available && status.any_voice === true, rows, hidden: found.length - rows.length };
  });
  const wanted = all.filter(({ rows, name }) => !looking || rows.length || (!language && words.every((word) => name.toLowerCase().includes(word))));
  return [...wanted.filter(({ usable }) => usable), ...wanted.filter(({ usable }) => !usable)];
}

/** Why another engine than the one in use speaks, by the code of the event. @type {Record<string, string>} */
const FAILED = {
  unauthorized: "does not accept its key",
  timeout: "does not answer in time",
  unreachable: "does not answer",
  rate_limited: "takes no more requests just now",
  bad_request: "cannot speak this with the voice that was chosen",
};

/** Who failed, at the beginning of a sentence. @param {string} provider */
const subject = (provider) => (provider === "openai_compatible" ? "The speech server" : engineName(provider));

/** @param {{provider: string, instead: string, code?: string}} fallback a `tts` event @returns {import("./words.js").Words} */
export function explainFallback({ provider, instead, code = "" }) {
  const speaks = ["piper", "espeak"].includes(instead) ? `The offline voice (${engineName(instead)}) speaks.` : `${engineName(instead)} speaks.`;
  return { title: `${subject(provider)} ${FAILED[code] ?? "has failed"}.`, hint: speaks, mild: true };
}
