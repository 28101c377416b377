"""What settings name: a name that nobody knows stops the start, with its setting and with those that are known."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from opentalking.cli import checks, chosen
from opentalking.cli.check import Check
from opentalking.config import Settings, load_settings

BROKEN = """
class A:
    missing = classmethod(lambda cls, settings: None)
    def __init__(self, settings):
        raise KeyError("x")
"""


def settings_of(**values: str) -> Settings:
    return load_settings({"OPENTALKING_ENV_FILE": "/nonexistent"} | values)


def failures(found: list[Check]) -> list[Check]:
    return [check for check in found if check.level == "fail"]


def test_a_voice_path_without_a_file_warns_that_another_engine_speaks() -> None:
    check = chosen.voice(settings_of(OPENTALKING_TTS_VOICE_PATH="/no/voice.onnx"))
    assert check.level == "warn"
    assert check.message.startswith("espeak speaks instead of piper: OPENTALKING_TTS_VOICE_PATH")


def test_a_voice_without_its_json_warns_that_another_engine_speaks(tmp_path: Path) -> None:
    voice = tmp_path / "v.onnx"
    voice.touch()
    check = chosen.voice(settings_of(OPENTALKING_TTS_VOICE_PATH=str(voice)))
    assert check.level == "warn"
    assert f"{voice}.json" in check.message


def test_an_unknown_voice_engine_fails_and_lists_the_known() -> None:
    check = chosen.voice(settings_of(OPENTALKING_TTS_PROVIDER="pipper"))
    assert check.level == "fail"
    assert check.message.startswith("OPENTALKING_TTS_PROVIDER: there is no 'pipper'; known: piper, espeak, edge")


def test_an_unknown_avatar_fails_and_lists_the_known() -> None:
    check = chosen.avatar(settings_of(OPENTALKING_DEFAULT_AVATAR="nobody"))
    assert check.level == "fail"
    assert "presenter" in check.message


@pytest.mark.parametrize(
    ("setting", "value", "known"),
    [
        ("TTS_PROVIDER", "bogus", "piper, espeak, edge, openai_compatible"),
        ("TTS_FALLBACK", "edge, bogus", "piper, espeak, edge, openai_compatible"),
        ("TTS_VOICE", "bogus", "en_US-joe-medium"),
        ("STT_PROVIDER", "bogus", "whisper, openai_compatible, dashscope, none"),
        ("DEFAULT_MODEL", "bogus", "flashhead, flashtalk, musetalk, portrait, quicktalk, wav2lip"),
    ],
)
def test_a_name_that_nobody_knows_stops_the_start(setting: str, value: str, known: str) -> None:
    [check] = failures(checks.before_start(settings_of(**{f"OPENTALKING_{setting}": value})))
    assert check.message.startswith(f"OPENTALKING_{setting}: there is no 'bogus'; known: {known}")
    assert check.mend == f"correct OPENTALKING_{setting}"


def test_plugins_are_known_and_so_is_a_variant_of_a_voice() -> None:
    told = {
        "OPENTALKING_TTS_PLUGINS": "mine=opentalking.tts.adapters.espeak:EspeakTTS",
        "OPENTALKING_TTS_PROVIDER": "mine",
        "OPENTALKING_TTS_FALLBACK": "edge, mine,",
        "OPENTALKING_TTS_VOICE": "en-us+f3",
        "OPENTALKING_STT_PLUGINS": "ears=opentalking.stt.adapters.whisper:WhisperSTT",
        "OPENTALKING_STT_PROVIDER": "ears",
        "OPENTALKING_MODEL_PLUGINS": "face=no_such_module:Face",
        "OPENTALKING_DEFAULT_MODEL": "face",
    }
    assert failures(chosen.chosen(settings_of(**told))) == []


@pytest.mark.parametrize("kind", ["TTS", "STT", "MODEL"])
def test_plugins_written_wrongly_stop_the_start(kind: str) -> None:
    [check] = failures(checks.before_start(settings_of(**{f"OPENTALKING_{kind}_PLUGINS": "foo"})))
    assert check.message == f"OPENTALKING_{kind}_PLUGINS: 'foo' is not name=module:Class"
    assert check.mend == f"correct OPENTALKING_{kind}_PLUGINS"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise KeyError('x')", "piper speaks instead of mine: breaking_plugin:A cannot be imported: KeyError: 'x'"),
        ("class A: pass", "piper speaks instead of mine: breaking_plugin:A has no classmethod missing(settings)"),
        (BROKEN, "mine: KeyError: 'x'"),
    ],
)
def test_a_plugin_that_breaks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str) -> None:
    (tmp_path / "breaking_plugin.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "breaking_plugin", raising=False)
    check = chosen.voice(settings_of(OPENTALKING_TTS_PROVIDER="mine", OPENTALKING_TTS_PLUGINS="mine=breaking_plugin:A"))
    assert check.level in ("warn", "fail") and check.message.startswith(told)


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("ICE_SERVERS", "stun:one,turn:me@two", "ICE server turn:…@two needs user:password@host"),
        ("ICE_SERVERS", "one:3478", "ICE server 'one:3478' does not begin with"),
        ("ICE_PORT_RANGE", "few", "port range 'few' is not LOW-HIGH"),
    ],
)
def test_media_addresses_written_wrongly_stop_the_start(setting: str, value: str, told: str) -> None:
    [check] = failures(checks.before_start(settings_of(**{f"OPENTALKING_{setting}": value})))
    assert check.message.startswith(f"OPENTALKING_{setting}: {told}")


def test_variables_that_do_nothing_are_told_with_what_was_meant_or_why() -> None:
    assert [check.level for check in chosen.names(["OPENTALKING_TTS_MODEL", "HOME"])] == ["ok"]
    told = chosen.names(["OPENTALKING_TTS_VOCIE", "OPENTALKING_XYZZY", "OPENTALKING_FFMPEG_BIN"])
    assert [(check.level, check.message) for check in told] == [
        ("warn", "no such setting: OPENTALKING_TTS_VOCIE (for OPENTALKING_TTS_VOICE?), OPENTALKING_XYZZY"),
        (
            "warn",
            "OPENTALKING_FFMPEG_BIN does nothing here: sound is decoded inside the process as it comes, without ffmpeg",
        ),
    ]
