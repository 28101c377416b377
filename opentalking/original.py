"""What the original calls the same: other names of settings."""

from __future__ import annotations

from opentalking.environment import PREFIX, env_name

# Names under which the original knows the same; without the prefix. Ours comes first if both are set.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "tts_provider": ("TTS_DEFAULT_PROVIDER",),
    "stt_provider": ("STT_DEFAULT_PROVIDER",),
    "stt_base_url": ("STT_OPENAI_BASE_URL",),
    "stt_api_key": ("STT_OPENAI_API_KEY",),
    "stt_model": ("STT_OPENAI_MODEL",),
    "dashscope_api_key": ("TTS_DASHSCOPE_API_KEY", "STT_DASHSCOPE_API_KEY"),
    "first_fragment_min_chars": ("CHAT_FIRST_SENT_MIN_CHARS",),
}


def env_names(field: str) -> list[str]:
    """Every variable that a setting is read from, ours first."""
    return [env_name(field), *(PREFIX + name for name in OTHER_NAMES.get(field, ()))]
