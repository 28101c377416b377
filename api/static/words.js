/**
 * What went wrong, in words: a title that says what happened and a hint that says what to do, for each stable code.
 */

/** @typedef {{title: string, hint: string, mild?: boolean}} Words  `mild`: nothing is lost */

/** @type {Record<string, [string, string]>} */
const BY_CODE = {
  unreachable: ["The server does not answer.", "Check that it is running (opentalking status), then try again."],
  timeout: ["The server took too long to answer.", "It may be busy or still loading. Try again in a moment."],
  no_workers: ["The server is still starting…", "Its workers are not ready yet. Give it a few seconds and try again."],
  worker_gone: ["A part of the server stopped.", "It restarts by itself. Start again in a few seconds."],
  at_capacity: ["Every place is taken.", "The server is at its limit of conversations. Try again when one has ended."],
  queue_full: ["Every place is taken.", "The waiting line is full as well. Try again in a few minutes."],
  avatar_not_found: ["This avatar does not exist any more.", "Choose another one, or reload the page for the current list."],
  model_not_found: ["The model of this avatar is not available.", "Choose another avatar, or look at /models for the reason."],
  build_timeout: ["Making this face took too long.", "Try a smaller or shorter file."],
  build_failed: ["This face could not be made.", "Try another photo; the server's log says more (opentalking logs)."],
  consent_required: ["The person's consent is missing.", "Tick the box, if the person shown has agreed."],
  file_empty: ["The file is empty.", "Choose another one."],
  file_missing: ["There is no photo.", "Choose one first."],
  one_file_only: ["Only one file makes a face.", "Choose a photo or a video, not both."],
  person_mode_unsupported: ["A face is one person's.", "Choose a photo of one person."],
  background_unsupported: ["The background stays.", "Choose a photo whose background you like."],
  foreign_origin: ["This page may not do that.", "Open the page at the server's own address."],
  avatars_full: ["There is no room for another face.", "Delete one that was added, or ask whoever runs the server to raise the limit."],
  disk_full: ["The server's disk is full.", "Whoever runs the server has to make room (opentalking doctor)."],
  avatar_protected: ["This face came with the server.", "Only faces that were added can be deleted."],
  not_sent: ["Not sent.", "The avatar was not connected. Connect and send it again."],
  session_not_found: ["This conversation no longer exists.", "Start a new one."],
  session_closed: ["This conversation has ended.", "Start a new one."],
  not_ready: ["The avatar is not ready yet.", "It is still loading. Try again in a moment."],
  webrtc_failed: ["Sound and picture could not get through.", "A firewall or VPN may block WebRTC (UDP). Allow it, or set a TURN server in .env."],
  webrtc_unsupported: ["This browser cannot play live video.", "WebRTC is missing or switched off. Use a current Chrome, Edge, Firefox or Safari."],
  never_ready: ["The avatar did not become ready.", "Look at the workers with “opentalking logs”, then start again."],
  model_unusable: ["The model cannot be used just now.", "Look at /models for the reason, or choose another avatar."],
  avatar_failed: ["This face could not be loaded.", "The conversation goes on with the one before. Choose another, or look at “opentalking logs”."],
  avatar_unusable: ["This avatar cannot be shown.", "Its files are damaged or incomplete. Choose another one."],
  voice_unusable: ["This voice is not available.", "Look at /voices for what there is."],
  text_empty: ["There is nothing to say.", "Type a line first."],
  store_unavailable: ["The server cannot reach Redis.", "Check that Redis is running (opentalking status), then try again."],
  internal: ["The server made a mistake.", "Try again; its log says more (opentalking logs)."],
  too_large: ["The text is too long.", "Shorten it and send it again."],
  llm_failed: ["The language model gave no answer.", "Check OPENTALKING_LLM_BASE_URL, the model's name and its key in .env."],
  tts_failed: ["The voice failed.", "Check the speech provider and its key in .env, or use the offline voice."],
  tts_unauthorized: ["The voice's service does not accept the key.", "Check that key in .env on the server, then run again."],
  tts_timeout: ["The voice did not answer in time.", "Try it again, or choose another one."],
  tts_unreachable: ["The voice's service does not answer.", "It needs the network. Try again, or choose an offline voice."],
  tts_rate_limited: ["The voice's service takes no more requests just now.", "Wait a little, or choose another voice."],
  tts_bad_request: ["This voice cannot speak that.", "Check its id, or choose another one."],
  tts_broken: ["The voice's service sent what is no sound.", "Try again, or choose another voice."],
  sound_blocked: ["The browser did not play the sound.", "Allow sound for this page, then try again."],
  voice_forgotten: ["The voice you chose is not available any more.", "The server's own voice speaks. Choose another under Voice."],
  nothing_to_say: ["There was nothing to say aloud.", "The text held no words that a voice can speak."],
  render_failed: ["The face could not be drawn.", "Send it again; if it keeps failing, look at the inference worker's log."],
  open_failed: ["The avatar could not be loaded.", "Choose another one; the server's log says more (opentalking logs)."],
  audio_empty: ["The recording is empty.", "Record something and send it again."],
  invalid_audio: ["The recording cannot be read.", "Use a common format: WAV, MP3, OGG, WebM or M4A."],
  speech_empty: ["No words were understood.", "Say it again, closer to the microphone."],
  utterance_too_long: ["That was too long to be understood at once.", "Say it in shorter pieces."],
  microphone_busy: ["Somebody is speaking to this conversation already.", "Wait until they have finished."],
  microphone_denied: ["The microphone is blocked.", "Allow it for this page: the icon left of the address, or the browser's site settings. Then press Talk again."],
  microphone_dismissed: ["The browser's question about the microphone was closed.", "Press Talk again and allow it, or type."],
  microphone_denied_by_system: ["Your computer does not let the browser use the microphone.", "Allow it in the system's privacy settings, then press Talk again."],
  microphone_missing: ["No microphone was found.", "Connect one and press Talk again, or type."],
  microphone_unreadable: ["The microphone cannot be read.", "Another program may be using it. Close that one and press Talk again."],
  microphone_insecure: ["The browser gives no microphone to this address.", "Open the page by HTTPS, or as localhost on this computer."],
  microphone_lost: ["The microphone went away.", "Connect one and press Talk again."],
  microphone_failed: ["The microphone could not be opened.", "Press Talk again; if it keeps failing, restart the browser."],
  press_too_short: ["That was too short.", "Hold the button, or the space bar, for as long as you speak."],
  vad_unavailable: ["The server cannot hear when somebody speaks.", "Use push to talk; “opentalking doctor” says what is missing."],
  socket_idle: ["The microphone fell silent for a minute.", "Start to speak again."],
  stt_unavailable: ["The server cannot understand speech.", "Type instead; “opentalking doctor” says what is missing."],
  stt_failed: ["Your words could not be recognised.", "Say it again, or type it."],
  stt_timeout: ["Recognising your words took too long.", "Say it again, or type it."],
  worker_stalled: ["The server does not take your words just now.", "Say it again in a moment."],
  session_left: ["This conversation is ending.", "Start a new one."],
  other_node: ["This conversation is on another server.", "Speak to that one, or start a new conversation."],
  invalid_form: ["The recording was not sent as it should be.", "Reload the page; the server's documentation says how."],
  invalid_frame: ["The microphone sent what the server does not understand.", "Reload the page and start to speak again."],
  turn_not_found: ["This answer does not exist.", "Ask again."],
  turn_over: ["This answer is over.", "Ask again."],
  draining: ["A part of the server is restarting.", "Send it again in a moment."],
  worker_restarted: ["A part of the server restarted.", "What was being said is lost. Send it again."],
  chat_failed: ["The answer failed.", "Send it again; if it keeps failing, look at the speech worker's log."],
  speak_failed: ["The line could not be spoken.", "Send it again; if it keeps failing, look at the speech worker's log."],
};

/** Codes that mean the same to the reader. */
const SAME_AS = {
  session_not_ready: "not_ready",
  session_loading: "not_ready",
  session_not_loaded: "not_ready",
  session_ended: "session_closed",
  session_gone: "session_not_found",
  workers_unavailable: "no_workers",
  worker_unreachable: "worker_gone",
  worker_timeout: "timeout",
  capacity: "at_capacity",
  model_unavailable: "model_unusable",
  unknown_model: "model_not_found",
  unknown_voice: "voice_unusable",
  unknown_tts_provider: "voice_unusable",
  tts_unavailable: "voice_unusable",
  unknown_stt_provider: "stt_unavailable",
  no_answer: "timeout",
  http_500: "internal",
  http_502: "unreachable",
  http_503: "unreachable",
  body_too_large: "too_large",
  payload_too_large: "too_large",
  text_too_long: "too_large",
};

/** Why a session ended, by the reason in `session.terminated`. */
const ENDED = [
  [/^(closed|client|deleted?|api|requested)/i, ["The conversation has ended.", "Start again whenever you like."]],
  [/idle|inactiv|expired|timeout|grace|peer/i, ["The conversation was closed because nobody was connected.", "Start again to continue."]],
  [/^open_failed/, ["The avatar could not be loaded.", "Choose another one; the server's log says more (opentalking logs)."]],
  [/worker|gone|died|lost/i, ["The conversation ended because a part of the server stopped.", "It restarts by itself. Start again in a few seconds."]],
  [/shutdown|stopping|drain/i, ["The server is shutting down.", "Start again once it is back."]],
];

/** @param {string} clause as the server writes it, without a capital and without a full stop */
export function asSentence(clause) {
  const text = clause.charAt(0).toUpperCase() + clause.slice(1);
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

/**
 * @param {{code?: string, detail?: string, message?: string}} failure an ApiError, or the data of an `error` event
 * @returns {Words}
 */
export function explain(failure) {
  const code = (failure.code ?? "").toLowerCase(); // workers write theirs in capitals
  if (code === "session_over") return explainEnd(failure.detail ?? "");
  const known = BY_CODE[code] ?? BY_CODE[SAME_AS[/** @type {keyof typeof SAME_AS} */ (code)]];
  if (known) return { title: known[0], hint: known[1] };
  const detail = (failure.detail ?? failure.message ?? "").trim();
  return { title: "Something went wrong.", hint: detail ? `The server says: ${detail}` : "Try again; the server's log says more." };
}

/** @param {string} reason @returns {Words} */
export function explainEnd(reason) {
  const known = ENDED.find(([pattern]) => /** @type {RegExp} */ (pattern).test(reason));
  if (known) return { title: known[1][0], hint: known[1][1] };
  return { title: "The conversation has ended.", hint: reason ? `Reason: ${reason}` : "Start again whenever you like." };
}
