"""Settings: where they are read from, which source wins, and what a wrong one says."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import msgspec
import pytest

from opentalking.config import (
    Settings,
    SettingsError,
    env_name,
    load_settings,
    settings_table,
    unknown_names,
)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / "my.env"


def load(path: Path, **process: str) -> Settings:
    return load_settings({"OPENTALKING_ENV_FILE": str(path), **process})


def test_without_any_source_the_defaults_hold(env_file: Path) -> None:
    loaded = load(env_file)
    expected = msgspec.structs.replace(Settings(), node=socket.gethostname())
    assert loaded == expected


def test_the_file_is_over_the_default_and_the_process_over_the_file(env_file: Path) -> None:
    env_file.write_text("OPENTALKING_API_PORT=8100\nOPENTALKING_FLASHTALK_TTS_TAIL_FADE_MS=40\n")
    loaded = load(env_file, OPENTALKING_API_PORT="8200")
    assert (loaded.api_port, loaded.flashtalk_tts_tail_fade_ms, loaded.speech_workers) == (8200, 40, 1)


def test_the_file_in_the_working_folder_is_read_unless_another_is_named(
    tmp_path: Path, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("OPENTALKING_NODE=here\n")
    env_file.write_text("OPENTALKING_NODE=there\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).node == "here"
    assert load(env_file).node == "there"


def test_the_process_environment_is_read_by_default(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENTALKING_ENV_FILE", str(env_file))
    monkeypatch.setenv("OPENTALKING_NODE", "from-process")
    assert load_settings().node == "from-process"


def test_an_empty_value_means_the_default(env_file: Path) -> None:
    env_file.write_text("OPENTALKING_API_PORT=8100\nOPENTALKING_LLM_MODEL=\n")
    loaded = load(env_file, OPENTALKING_API_PORT="", OPENTALKING_NODE="")
    assert (loaded.api_port, loaded.llm_model, loaded.node) == (8000, "smollm2", socket.gethostname())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("API_PORT", "eighty", "OPENTALKING_API_PORT='eighty': Expected `int`, got `str`"),
        ("API_PORT", "65536", "OPENTALKING_API_PORT='65536': Expected `int` <= 65535"),
        ("SPEECH_WORKERS", "0", "OPENTALKING_SPEECH_WORKERS='0': Expected `int` >= 1"),
        ("VIDEO_CODEC", "av1", "OPENTALKING_VIDEO_CODEC='av1': Invalid enum value 'av1'"),
        ("PEER_GRACE_S", "-1", "OPENTALKING_PEER_GRACE_S='-1': Expected `float` >= 0.0"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(env_file: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(env_file, **{"OPENTALKING_" + name: value})
    assert str(caught.value) == message


def test_a_wrong_value_in_the_file_is_named_too(env_file: Path) -> None:
    env_file.write_text("OPENTALKING_MAX_TEXT_CHARS=none\n")
    with pytest.raises(SettingsError, match="OPENTALKING_MAX_TEXT_CHARS='none'"):
        load(env_file)


def test_every_setting_can_be_set_by_its_variable(env_file: Path) -> None:
    """Each default, written as text, is read back as itself: no type is without a reading."""
    written = {env_name(field.name): str(field.default) for field in msgspec.structs.fields(Settings)}
    assert load(env_file, **{**written, "OPENTALKING_NODE": "n"}) == msgspec.structs.replace(Settings(), node="n")


def test_every_setting_has_a_sentence_of_its_own() -> None:
    rows = settings_table()
    names, sentences = [row[0] for row in rows], [row[2] for row in rows]
    assert names == [env_name(field.name) for field in msgspec.structs.fields(Settings)]
    assert all(len(sentence.split()) >= 2 and sentence[0].isupper() for sentence in sentences)
    assert len(set(sentences)) == len(sentences)


def test_times_and_rates_say_their_unit() -> None:
    for name, _, sentence in settings_table():
        if name.endswith("_MS"):
            assert re.search(r"\bms\b", sentence) or "this" in sentence, name
        if name.endswith("_S"):
            assert "seconds" in sentence, name
        if name.endswith("BITRATE"):
            assert "bit/s" in sentence, name


def test_the_nodes_rings_lie_in_shared_memory_under_its_name(env_file: Path) -> None:
    assert load(env_file, OPENTALKING_NODE="left").shm_root == Path("/dev/shm/opentalking-left")


def test_the_base_url_of_a_server_on_all_addresses_is_one_that_can_be_called(env_file: Path) -> None:
    assert load(env_file, OPENTALKING_API_HOST="0.0.0.0").public_base() == "http://127.0.0.1:8000"
    assert load(env_file, OPENTALKING_API_HOST="10.0.0.5", OPENTALKING_API_PORT="80").public_base() == (
        "http://10.0.0.5:80"
    )


def test_the_originals_names_are_understood_and_ours_come_first(env_file: Path) -> None:
    assert load(env_file, OPENTALKING_TTS_DEFAULT_PROVIDER="edge").tts_provider == "edge"
    both = {"OPENTALKING_TTS_DEFAULT_PROVIDER": "edge", "OPENTALKING_TTS_PROVIDER": "espeak"}
    assert load(env_file, **both).tts_provider == "espeak"
    with pytest.raises(SettingsError, match="OPENTALKING_CHAT_FIRST_SENT_MIN_CHARS='few'"):
        load(env_file, OPENTALKING_CHAT_FIRST_SENT_MIN_CHARS="few")


def test_of_the_names_of_a_setting_the_process_goes_before_the_file_whichever_it_uses(env_file: Path) -> None:
    env_file.write_text("OPENTALKING_TTS_PROVIDER=espeak\nOPENTALKING_STT_OPENAI_MODEL=from-file\n")
    loaded = load(env_file, OPENTALKING_TTS_DEFAULT_PROVIDER="edge", OPENTALKING_STT_MODEL="from-process")
    assert (loaded.tts_provider, loaded.stt_model) == ("edge", "from-process")


def test_an_empty_name_does_not_hide_another_of_the_same_source(env_file: Path) -> None:
    env_file.write_text("OPENTALKING_TTS_PROVIDER=\nOPENTALKING_TTS_DEFAULT_PROVIDER=espeak\n")
    assert load(env_file).tts_provider == "espeak"
    told = {"OPENTALKING_TTS_PROVIDER": "", "OPENTALKING_TTS_DEFAULT_PROVIDER": "edge"}
    assert load(env_file, **told).tts_provider == "edge"
    assert load(env_file, OPENTALKING_TTS_PROVIDER="").tts_provider == "piper"  # empty means the default, as ever


def test_a_line_break_after_a_value_is_none_of_it(env_file: Path) -> None:
    assert load(env_file, OPENTALKING_LLM_API_KEY="sk-1\n").llm_api_key == "sk-1"


def test_a_variable_that_is_no_setting_is_told_with_what_may_be_meant() -> None:
    environ = {
        "OPENTALKING_TTS_VOCIE": "anna",
        "OPENTALKING_TTS_VOICE": "anna",
        "HOME": "/",
        "OPENTALKING_ENV_FILE": ".env",
    }
    assert unknown_names(environ) == {"OPENTALKING_TTS_VOCIE": "OPENTALKING_TTS_VOICE"}
    assert unknown_names({"OPENTALKING_XYZZY": "1"}) == {"OPENTALKING_XYZZY": ""}
