/** The page: wires the session to its views. State flows one way, session → views, at most once a display frame. */

import * as api from "./api.js";
import { cards, whyNot } from "./gallery.js";
import { recall } from "./memory.js";
import { Session } from "./session.js";
import { Voice } from "./voice.js";
import { byId, setText } from "./view/dom.js";
import { Composer } from "./view/composer.js";
import { ConversationView } from "./view/conversation.js";
import { GalleryView } from "./view/gallery.js";
import { LatencyView } from "./view/latency.js";
import { closePanel } from "./view/panel.js";
import { Stage, stateOf } from "./view/stage.js";
import { showToyNote } from "./view/toynote.js";
import { learnLimits } from "./upload.js";
import { UploadView } from "./view/upload.js";
import { followViewport } from "./view/viewport.js";
import { VoiceView } from "./view/voice.js";
import { VoicesView } from "./view/voices.js";
import { explain } from "./words.js";

/** @type {api.Avatar[]} */
let avatars = [];
/** @type {api.ModelStatus[] | null} */
let models = null;
let chosen = "";
let scheduled = false;

const session = new Session({ onChange: schedule, onStream: (stream) => void stage.play(stream), video: byId("video") });
const voice = new Voice(session, schedule);
const stage = new Stage(session, voice, () => void connect());
const conversation = new ConversationView();
const latency = new LatencyView();
const composer = new Composer((kind, text) => {
  connectIfOver();
  void session.say(kind, text);
});
const voiceView = new VoiceView(voice, connectIfOver);
const gallery = new GalleryView({ onChoose: (id) => void pick(id), onChanged: () => learnTheFaces().catch(() => {}), upload: new UploadView((avatar) => void introduce(avatar)) });
const voices = new VoicesView(session.speaker, { onChoose: (choice) => void session.speaker.choose(choice, session.id), onChange: schedule });

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    render();
  });
}

function render() {
  if (isOver() && voice.mode !== "off") void voice.choose("off"); // nobody listens any more
  if (session.phase === "live" && session.avatarId) chosen = session.avatarId;
  stage.render(avatars.find(({ id }) => id === chosen));
  gallery.render(cards(avatars, models, chosen, session.switching), session.notice);
  voices.render(session.notice);
  conversation.render(session.conversation.turns);
  voiceView.render();
  latency.render(session.timing, session.witness.of(session.timing));
  const notice = voice.microphone.words ?? session.notice;
  byId("notice").classList.toggle("mild", notice?.mild === true);
  setText(byId("notice"), notice ? `${notice.title} ${notice.hint}` : "");
}

const isOver = () => ["idle", "failed", "ended"].includes(session.phase);

function connectIfOver() {
  if (isOver()) void connect();
}

/** @param {string} id */
function choose(id) {
  chosen = id;
  render();
}

/** The person's choice in the gallery: to talk to, or for the conversation that there is. @param {string} id */
async function meet(id) {
  if (session.phase === "live") return session.wear(id);
  if (!isOver()) return;
  choose(id);
  session.opening();
  await session.start(id);
}

/** A face that is met for the first time is talked to, so the conversation is wanted. @param {string} id */
function pick(id) {
  if (isOver()) gallery.panel.close(false);
  void meet(id);
}

/** A face that was just made says its first sentence, beside its card and what there is to say of its picture. @param {import("./upload.js").Built} avatar */
async function introduce(avatar) {
  const remarks = avatar.report?.findings.filter(({ severity }) => severity === "warn") ?? [];
  avatars = [...avatars.filter(({ id }) => id !== avatar.id), avatar];
  await learnTheFaces().catch(() => {}); // it is known already; the others are as they were
  gallery.built(avatar.id, remarks);
  if (whyNot(avatar, models)) return;
  await meet(avatar.id);
  await session.shows(avatar.id);
  if (isOver() || session.avatarId !== avatar.id) return; // it is not on stage; why is being said already
  await session.say("say", `Hello! I am ${avatar.name || "new here"}. This is how I look when I speak.`);
}

async function learnTheFaces() {
  [avatars, models] = await Promise.all([api.avatars(), api.models()]);
  render();
}

/** @returns {Promise<void>} */
async function learnTheServer() {
  const health = await api.health();
  session.iceServers = health.ice_servers ?? [];
  learnLimits(health.avatar_bytes);
  showToyNote(health);
  document.body.classList.remove("loading");
  const engines = [health.llm?.model, health.default_model].filter((name) => typeof name === "string" && name);
  setText(byId("engines"), engines.join(" · "));
  avatars = await api.avatars();
  void api.models().then((known) => {
    models = known;
    render();
  }, () => {}); // then every face may be tried
  if (!avatars.some(({ id }) => id === chosen)) {
    chosen = (avatars.find(({ id }) => id === health.default_avatar) ?? avatars[0])?.id ?? "";
  }
  render();
}

/** The person's click, or its stand-in. Takes up the same session when only the connection had failed. */
async function connect() {
  const mayContinue = session.phase === "failed";
  session.opening();
  if (matchMedia("(pointer: fine)").matches) composer.focus(); // elsewhere it would raise the keyboard over the face
  try {
    if (mayContinue && (await session.resume()) !== null) return;
    if (!avatars.length) await learnTheServer();
  } catch (error) {
    return session.fail(explain(/** @type {api.ApiError} */ (error)));
  }
  await session.start(chosen);
}

async function open() {
  render();
  try {
    if (recall()) session.opening();
    await learnTheServer();
    const avatar = await session.resume();
    if (avatar !== null) await voice.resume();
    if (avatar) choose(avatar);
    else if (avatar === null && new URLSearchParams(location.search).has("autostart")) await connect();
  } catch (error) {
    session.fail(explain(/** @type {api.ApiError} */ (error)));
  } finally {
    document.body.classList.remove("loading");
  }
}

addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing) return;
  if (!closePanel()) void session.interrupt();
});
addEventListener("pagehide", () => session.leave());
addEventListener("pageshow", (event) => event.persisted && location.reload());

/** What tests may look at. */
Object.defineProperty(window, "opentalking", {
  value: Object.freeze({
    get sessionId() { return session.id; },
    get phase() { return session.phase; },
    get state() { return stateOf(session)[0]; },
    get generation() { return session.floor.generation; },
    get pc() { return session.peer?.pc ?? null; },
    get timing() { return session.timing; },
    get here() { return session.witness.of(session.timing); },
    get avatar() { return session.avatarId; },
    get voice() { return voice.mode; },
    get speaker() { return { ...session.speaker.choice }; },
    get hearing() { return session.floor.hearing; },
    get turns() { return structuredClone(session.conversation.turns); },
  }),
});

followViewport();
await open();
