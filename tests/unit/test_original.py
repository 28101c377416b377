"""The original's names: those that work here, and what is said of those that do not."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opentalking.config import Settings, SettingsError, env_name, load_settings, unknown_names
from opentalking.original import OTHER_NAMES, WITHOUT_EFFECT, env_names, without_effect


def load(**process: str) -> Settings:
    return load_settings({"OPENTALKING_ENV_FILE": os.devnull} | process)


def test_another_name_belongs_to_one_setting_and_is_no_setting_itself() -> None:
    fields = {field.name for field in msgspec.structs.fields(Settings)}
    others = [name for names in OTHER_NAMES.values() for name in names]
    assert set(OTHER_NAMES) <= fields and len(set(others)) == len(others)
    assert not set(others) & {env_name(field) for field in fields}


@pytest.mark.parametrize("field", OTHER_NAMES)
def test_every_other_name_sets_its_setting_and_ours_comes_first(field: str) -> None:
    default = getattr(Settings(), field)
    values = {"ws": "ws://one/v1", "http": "http://one/v1"}
    value: Any = (
        values["http" if field == "omnirt_endpoint" else "ws"] if field.endswith(("_url", "_endpoint")) else "x"
    )
    value = {"stt_base_url": values["http"], "tts_provider": "edge"}.get(field, value)
    value = default + 1 if isinstance(default, int) else value
    for name in env_names(field)[1:]:
        assert getattr(load(**{name: str(value)}), field) == value, name
        ours = {env_name(field): str(default)} if default not in ("", None) else {}
        assert getattr(load(**{name: str(value)} | ours), field) == (default if ours else value)


@pytest.mark.parametrize("told", ["bailian", "qwen", "qwen_tts", "dashscope"])
def test_the_other_names_of_an_engine_are_that_engine(told: str) -> None:
    settings = load(OPENTALKING_TTS_PROVIDER=told, OPENTALKING_TTS_FALLBACK=f"edge, {told}")
    assert (settings.tts_provider, settings.tts_fallback) == ("dashscope", "edge,dashscope")


def test_a_plugin_of_such_a_name_is_meant_itself() -> None:
    plugin = "qwen=mine:Qwen, auto=mine:Auto"
    assert load(OPENTALKING_TTS_PROVIDER="qwen", OPENTALKING_TTS_PLUGINS=plugin).tts_provider == "qwen"
    assert load(OPENTALKING_TTS_PROVIDER="auto", OPENTALKING_TTS_PLUGINS=plugin).tts_provider == "auto"


@pytest.mark.parametrize(
    ("told", "picked"),
    [
        ({}, "piper"),
        ({"OPENTALKING_TTS_OPENAI_BASE_URL": "http://h/v1"}, "openai_compatible"),
        ({"OPENTALKING_TTS_ELEVENLABS_API_KEY": "k", "OPENTALKING_TTS_OPENAI_BASE_URL": "http://h/v1"}, "elevenlabs"),
        ({"OPENTALKING_TTS_DASHSCOPE_API_KEY": "k", "OPENTALKING_TTS_ELEVENLABS_API_KEY": "k"}, "dashscope"),
    ],
)
def test_auto_is_the_first_service_that_has_its_key_else_the_offline_voice(told: dict[str, str], picked: str) -> None:
    assert load(OPENTALKING_TTS_PROVIDER="auto", **told).tts_provider == picked


def test_the_model_without_a_service_is_that_of_the_engine_that_speaks(tmp_path: Path) -> None:
    named = load(OPENTALKING_TTS_PROVIDER="openai_compatible", OPENTALKING_TTS_MODEL="m")
    assert (named.tts_openai_model, named.tts_elevenlabs_model_id) == ("m", Settings().tts_elevenlabs_model_id)
    assert load(OPENTALKING_TTS_PROVIDER="qwen", OPENTALKING_TTS_MODEL="m").tts_dashscope_model == "m"
    own = {"OPENTALKING_TTS_MODEL": "m", "OPENTALKING_TTS_COSYVOICE_MODEL": "own"}
    assert load(OPENTALKING_TTS_PROVIDER="cosyvoice", **own).tts_cosyvoice_model == "own"
    assert load(OPENTALKING_TTS_MODEL="m") == load()  # piper has none
    (tmp_path / "env").write_text("OPENTALKING_TTS_OPENAI_MODEL=file\nOPENTALKING_TTS_PROVIDER=openai_compatible\n")
    over = load_settings({"OPENTALKING_ENV_FILE": str(tmp_path / "env"), "OPENTALKING_TTS_MODEL": "process"})
    assert over.tts_openai_model == "process"


def test_a_wrong_value_is_told_under_the_name_that_was_used() -> None:
    with pytest.raises(SettingsError, match=r"^FLASHTALK_TTS_TAIL_FADE_MS='long': "):
        load(FLASHTALK_TTS_TAIL_FADE_MS="long")


def test_names_that_do_nothing_here_say_why_and_are_no_slip_of_the_pen() -> None:
    told = {
        "OPENTALKING_LLM_PROVIDER": "openai_compatible",
        "OPENTALKING_LLM_FORMAT_GUARD": "no lists",
        "OPENTALKING_FLASHTALK_TTS_COALESCE_MIN_CHARS": "6",
        "FLASHTALK_TTS_COALESCE_MIN_CHARS": "6",
        "OPENTALKING_FFMPEG_BIN": "/usr/bin/ffmpeg",
        "OPENTALKING_QWEN_TTS_MODE": "commit",
        "OPENTALKING_STT_SENSEVOICE_MODEL": "iic/SenseVoiceSmall",
        "AV_OFFSET_MS": "40",
        "OPENTALKING_TTS_MODEL": "m",
        "FFMPEG_BIN": "/somebody's/else",
        "HOME": "/",
    }
    found = without_effect(told)
    assert set(found) == set(told) - {"OPENTALKING_TTS_MODEL", "FFMPEG_BIN", "HOME"}
    assert all(found.values()) and "OPENTALKING_LLM_SYSTEM_PROMPT" in found["OPENTALKING_LLM_FORMAT_GUARD"]
    assert unknown_names(told) == {}


def test_what_is_said_to_do_nothing_is_no_setting_and_points_to_settings_that_there_are() -> None:
    known = {name for field in msgspec.structs.fields(Settings) for name in env_names(field.name)}
    assert without_effect(known) == {}
    for why in WITHOUT_EFFECT:
        assert set(re.findall(r"OPENTALKING_\w+", why)) <= known, why
    listed = [name for names in WITHOUT_EFFECT.values() for name in names.split()]
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TTS_VOCIE", "TTS_VOICE"),
        ("LLM_BASEURL", "LLM_BASE_URL"),
        ("TTS_ELEVENLABS_KEY", "TTS_ELEVENLABS_API_KEY"),
        ("FLASHTALK_TTS_BOUNDRY_FADE_MS", "FLASHTALK_TTS_BOUNDARY_FADE_MS"),
        ("LLM_WORKERS", ""),
        ("RTC_THREADS", ""),
        ("XYZZY", ""),
    ],
)
def test_a_hint_is_given_for_a_slip_and_not_for_another_setting_of_the_same_words(name: str, meant: str) -> None:
    [hint] = unknown_names([f"OPENTALKING_{name}"]).values()
    assert hint == (f"OPENTALKING_{meant}" if meant else "")
