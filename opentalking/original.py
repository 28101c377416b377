"""What the original calls the same: other names of settings and voice engines, and its settings that do nothing here.

Which of its names have a counterpart, and why the others have none: docs/decisions/2026-11-25-original-names.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from opentalking.environment import PREFIX, env_name, told

# Ours comes first if both are set in one source. Those without the prefix are the original's older spelling.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "api_host": ("OPENTALKING_UNIFIED_HOST",),
    "api_port": ("OPENTALKING_UNIFIED_PORT",),
    "tts_provider": ("OPENTALKING_TTS_DEFAULT_PROVIDER",),
    "stt_provider": ("OPENTALKING_STT_DEFAULT_PROVIDER",),
    "stt_base_url": ("OPENTALKING_STT_OPENAI_BASE_URL",),
    "stt_api_key": ("OPENTALKING_STT_OPENAI_API_KEY",),
    "stt_model": ("OPENTALKING_STT_OPENAI_MODEL",),
    "dashscope_api_key": ("OPENTALKING_TTS_DASHSCOPE_API_KEY", "OPENTALKING_STT_DASHSCOPE_API_KEY"),
    "dashscope_base_url": ("OPENTALKING_TTS_COSYVOICE_SERVICE_URL",),
    "first_fragment_min_chars": ("OPENTALKING_CHAT_FIRST_SENT_MIN_CHARS",),
    "flashtalk_tts_boundary_fade_ms": ("FLASHTALK_TTS_BOUNDARY_FADE_MS",),
    "flashtalk_tts_tail_fade_ms": ("FLASHTALK_TTS_TAIL_FADE_MS",),
    "flashtalk_tts_trailing_silence_ms": ("FLASHTALK_TTS_TRAILING_SILENCE_MS",),
    "flashtalk_ws_url": ("FLASHTALK_WS_URL",),
    "omnirt_endpoint": ("OMNIRT_ENDPOINT",),
    "avatar_max_width": ("OPENTALKING_CUSTOM_AVATAR_MAX_WIDTH",),
    "avatar_max_height": ("OPENTALKING_CUSTOM_AVATAR_MAX_HEIGHT",),
}

MODEL_OF_ENGINE = PREFIX + "TTS_MODEL"  # of whichever engine OPENTALKING_TTS_PROVIDER names
_MODEL_OF = {
    "openai_compatible": "tts_openai_model",
    "elevenlabs": "tts_elevenlabs_model_id",
    "dashscope": "tts_dashscope_model",
    "cosyvoice": "tts_cosyvoice_model",
    "sambert": "tts_sambert_model",
}

AUTO = "auto"  # a voice engine: whichever has its key
_ENGINES = {"bailian": "dashscope", "qwen": "dashscope", "qwen_tts": "dashscope"}
_KEYED = {
    "dashscope_api_key": "dashscope",
    "tts_elevenlabs_api_key": "elevenlabs",
    "tts_openai_base_url": "openai_compatible",
}
_OFFLINE = "piper"

# Why -> names without the prefix, with * for the rest of one.
WITHOUT_EFFECT: dict[str, str] = {
    "every language model is asked as openai_compatible": "LLM_PROVIDER",
    "what cannot be spoken is left out of what is said; wishes belong into OPENTALKING_LLM_SYSTEM_PROMPT": (
        "LLM_FORMAT_GUARD"
    ),
    "only a comma may end the first fragment early, no length does": "CHAT_FIRST_SENT_MAX_CHARS",
    "every engine that has what it needs can be chosen": "TTS_ENABLED_PROVIDERS STT_ENABLED_PROVIDERS",
    "listeners get the rate that the service gives": "TTS_SAMPLE_RATE",
    "sound is decoded inside the process as it comes, without ffmpeg": "FFMPEG_BIN TTS_STREAMING_DECODE",
    "engines are always warmed at the start": "TTS_PREWARM_* STT_PREWARM_ON_STARTUP",
    "who speaks when an engine fails is named by OPENTALKING_TTS_FALLBACK": "TTS_EDGE_FALLBACK_*",
    "openai_compatible is asked at /audio/speech only": "TTS_OPENAI_PROTOCOL",
    "each fragment is committed, as with commit": "QWEN_TTS_MODE",
    "OPENTALKING_TTS_DASHSCOPE_VOICE can name a voice of that dialect": "QWEN_TTS_DIALECT QWEN_TTS_CANTONESE_VOICE",
    "there is no such engine here; OPENTALKING_TTS_PLUGINS can add one": (
        "TTS_XIAOMI_* TTS_LOCAL_* LOCAL_* TTS_INDEXTTS_* INDEXTTS_*"
    ),
    "there is no such recogniser here; OPENTALKING_STT_PLUGINS can add one": (
        "STT_XIAOMI_* STT_SENSEVOICE_* STT_SHERPA_* STT_FUNASR_*"
    ),
    "OPENTALKING_STT_LANGUAGE names one language, or none to recognise it": "STT_LANGUAGE_HINTS",
    "the packaged recogniser runs on the CPU": "STT_DEVICE",
    "a fragment is a sentence; short ones are not joined": "FLASHTALK_TTS_COALESCE_*",
    "nothing is said before the answer": "FLASHTALK_TTS_OPENER_*",
    "OPENTALKING_PREBUFFER_MS says it in milliseconds, for every model": (
        "FLASHTALK_PREBUFFER_CHUNKS WAV2LIP_PREBUFFER_CHUNKS MUSETALK_PREBUFFER_CHUNKS AV_SYNC_*"
    ),
    "OPENTALKING_MAX_SESSIONS bounds sessions; none waits in a queue": (
        "FLASHTALK_MAX_QUEUE_SIZE FLASHTALK_SLOT_TIMEOUT_SEC FLASHTALK_MAX_SESSION_SEC"
    ),
    "what an avatar does while it is silent is made once for each and kept": "FLASHTALK_IDLE_* IDLE_CACHE_*",
    "the machine that draws decides it": (
        "FLASHTALK_FRAME_NUM FLASHTALK_MOTION_FRAMES_NUM FLASHTALK_SAMPLE_* FLASHTALK_HEIGHT FLASHTALK_WIDTH"
        " FLASHTALK_TGT_FPS FLASHTALK_CACHED_AUDIO_DURATION FLASHTALK_COLOR_CORRECTION_STRENGTH"
        " FLASHTALK_AUDIO_LOUDNESS_NORM FLASHTALK_JPEG_* FLASHHEAD_FPS FLASHHEAD_WIDTH FLASHHEAD_HEIGHT"
        " FLASHHEAD_FRAME_NUM FLASHHEAD_CHUNK_SAMPLES"
    ),
    "OPENTALKING_REMOTE_REPLY_TIMEOUT_S bounds each answer of any model": "FLASHHEAD_TIMEOUT_SEC FLASHTALK_WS_PING_*",
    "one record carries a frame and its sound, on one clock: nothing drifts, and no queue has a length to set": (
        "AV_OFFSET_MS AUDIO2VIDEO_PLAYBACK_* FLP_PLAYBACK_* MUSETALK_BACKPRESSURE_* MUSETALK_*_WATERMARK"
        " RTC_SAMPLE_RATE RTC_AUDIO_FRAME_MS RENDER_CHUNK_MS RENDER_IN_EXECUTOR RESET_FRAME_IDX_ON_SPEAK"
        " WAV2LIP_RENDER_CHUNK_MS QUICKTALK_RENDER_CHUNK_MS QUICKTALK_AUDIO_DELAY_MS"
    ),
    "frames are 40 ms": "DEFAULT_FPS",
    "OPENTALKING_TORCH_DEVICE is the device of every model": (
        "WAV2LIP_DEVICE WAV2LIP_FACE_DET_DEVICE QUICKTALK_DEVICE QUICKTALK_HUBERT_DEVICE"
    ),
    "OPENTALKING_MODELS_DIR holds the weights of all models": "MODEL_ROOT WAV2LIP_MODEL_ROOT MUSETALK_MODEL_ROOT",
    "the model here has no such thing to set": (
        "WAV2LIP_JPEG_QUALITY WAV2LIP_MAX_LONG_EDGE WAV2LIP_INTEROP_THREADS WAV2LIP_GFPGAN_CHECKPOINT"
        " WAV2LIP_ENABLE_JAW_MOTION_BLEND WAV2LIP_JAW_BLEND_ALPHA WAV2LIP_LOWER_LIP_DYNAMIC_EXPAND"
        " WAV2LIP_IDLE_MAX_FRAMES WAV2LIP_LIVE_MODE WAV2LIP_LEGACY_LOCAL_FALLBACK WAV2LIP_PREPARED_CACHE_DIR"
        " WAV2LIP_PRELOAD WAV2LIP_ATTACK WAV2LIP_RELEASE WAV2LIP_MAX_STEP_* WAV2LIP_FACE_BOX_* QUICKTALK_MODEL_BACKEND"
        " QUICKTALK_SLICE_LEN QUICKTALK_FPS QUICKTALK_RESOLUTION QUICKTALK_MAX_* QUICKTALK_SCALE_* QUICKTALK_NECK_*"
        " QUICKTALK_IDLE_* QUICKTALK_WORKER_CACHE* QUICKTALK_PREFETCH QUICKTALK_FULL_AUDIO* MUSETALK_REPO"
        " MUSETALK_PREPROCESS_PYTHON MUSETALK_AUTO_PREPARE MUSETALK_CONTEXT_MS MUSETALK_OVERLAP_FRAMES"
        " MUSETALK_SILENCE_GATE MUSETALK_SMOOTH_CROP MUSETALK_ENERGY_GAIN MUSETALK_PREPARED_COMPOSE FASTLIVEPORTRAIT_*"
    ),
    "there is no such part here": (
        "CONFIG_FILE WEB_HOST WEB_PORT EXPORTS_DIR SQLITE_PATH PUBLIC_BASE_URL AVATAR_MATTING_*"
        " OMNIRT_VIDEO_CLONE_PATH_TEMPLATE FLASHTALK_RECORDINGS_DIR"
    ),
    "processes find each other by OPENTALKING_REDIS_URL": "WORKER_HOST WORKER_PORT WORKER_URL UNIFIED_UVICORN_WORKERS",
    "`opentalking avatar prewarm` does it": "PREWARM_AVATARS PREWARM_MODEL",
    "every turn leaves a trace (docs/turns.md)": "BENCHMARK_TIMING DEBUG_DUMP_SPEECH_DIR RTC_DEBUG_FRAMES",
}
_BARE = ("FLASHTALK_*", "AV_OFFSET_MS", "AUDIO2VIDEO_PLAYBACK_*", "FLP_PLAYBACK_*", "MUSETALK_*")  # had no prefix, too


def env_names(field: str) -> list[str]:
    """Every variable that a setting is read from, ours first."""
    return [env_name(field), *OTHER_NAMES.get(field, ())]


def without_effect(names: Iterable[str]) -> dict[str, str]:
    """Those of these variables that the original knows and that do nothing here, each with the reason."""
    found: dict[str, str] = {}
    for name in names:
        bare = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) or _is_one_of(name, _BARE):
            why = next((why for why, listed in WITHOUT_EFFECT.items() if _is_one_of(bare, listed.split())), "")
            found |= {name: why} if why else {}
    return found


def engine_named(name: str, known: Collection[str] = ()) -> str:
    """Our name of a voice engine; one that is `known` by this very name, as a plug-in may be, keeps it."""
    return name if name in known else _ENGINES.get(name, name)


def in_our_words(values: Mapping[str, Any], sources: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What the original's names of engines, and its one name for all their models, mean among the settings `values`."""
    plugins = {entry.partition("=")[0].strip() for entry in values.get("tts_plugins", "").split(",")}
    provider = engine_named(values.get("tts_provider", ""), plugins)
    if provider == AUTO and AUTO not in plugins:
        provider = next((engine for key, engine in _KEYED.items() if values.get(key)), _OFFLINE)
    listed = (part.strip() for part in values.get("tts_fallback", "").split(","))
    meant = {"tts_fallback": ",".join(engine_named(name, plugins) for name in listed if name)}
    model = _MODEL_OF.get(provider, "")
    meant |= {"tts_provider": provider, model: told([env_name(model), MODEL_OF_ENGINE], sources)[1]}
    return {field: value for field, value in meant.items() if field and value}


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
