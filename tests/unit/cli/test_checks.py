"""The doctor's checks, against the real machine and against what is really missing."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from opentalking.cli import checks
from opentalking.cli.commands.doctor import line
from opentalking.config import load_settings


def settings_of(**values):
    return load_settings({"OPENTALKING_ENV_FILE": "/nonexistent"} | values)


def test_what_the_tests_themselves_need_is_found():
    found = checks.before_start(settings_of())
    assert [check for check in found if check.level == "fail"] == []
    assert {"python", "packages", "redis program", "language model", "voice", "turn taking", "avatar"} <= {
        check.name for check in found
    }


def test_an_old_python_fails_and_says_what_to_do():
    assert checks.python_version((3, 10, 12)) == checks.Check(
        "python", "fail", "3.10.12 is too old", "use Python 3.11 or newer: make run PYTHON=python3.11"
    )


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    check = checks.installed("packages", "msgspec no_such_package", "pip install opentalking", "fail")
    assert (check.level, check.message, check.mend) == ("fail", "missing: no_such_package", "pip install opentalking")


def test_a_package_that_ends_the_process_when_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "wrong_cpu.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check = checks.imports(["msgspec", "wrong_cpu", "redis"], "reinstall it")
    assert check.level == "fail"
    assert check.message == "wrong_cpu: ended with code -4"


def test_a_model_path_without_a_file_fails_with_its_setting():
    check = checks.language_model(settings_of(OPENTALKING_LLM_MODEL_PATH="/no/model.gguf"))
    assert check.level == "fail"
    assert "OPENTALKING_LLM_MODEL_PATH" in check.message and "/no/model.gguf" in check.message


def test_a_voice_path_without_a_file_warns_that_another_engine_speaks():
    check = checks.voice(settings_of(OPENTALKING_TTS_VOICE_PATH="/no/voice.onnx"))
    assert check.level == "warn"
    assert check.message.startswith("espeak speaks instead of piper: OPENTALKING_TTS_VOICE_PATH")


def test_a_voice_without_its_json_fails(tmp_path):
    voice = tmp_path / "v.onnx"
    voice.touch()
    check = checks.voice(settings_of(OPENTALKING_TTS_VOICE_PATH=str(voice)))
    assert check.level == "fail"
    assert f"{voice}.json" in check.message


def test_an_unknown_voice_engine_fails_and_lists_the_known():
    check = checks.voice(settings_of(OPENTALKING_TTS_PROVIDER="pipper"))
    assert check.level == "fail"
    assert "'pipper'; there are piper, espeak" in check.message


@pytest.mark.parametrize(
    ("environ", "level", "words"),
    [
        ({}, "ok", "smart_turn"),
        ({"OPENTALKING_TURN_MODEL": "none"}, "ok", "silence alone"),
        (
            {"OPENTALKING_TURN_MODEL_PATH": "/no/turn.onnx"},
            "warn",
            "silence alone ends a turn: OPENTALKING_TURN_MODEL_",
        ),
        (
            {"OPENTALKING_VAD_MODEL_PATH": "/no/vad.onnx"},
            "warn",
            "no open microphone: OPENTALKING_VAD_MODEL_PATH: there",
        ),
    ],
)
def test_what_an_open_microphone_lacks_is_told_with_the_command_that_installs_it(environ, level, words):
    check = checks.turn_taking(settings_of(**environ))
    assert check.level == level
    assert check.message.startswith(words)
    assert level == "ok" or "pip install --no-deps silero-vad==" in check.mend


def test_an_unknown_avatar_fails_and_lists_the_known():
    check = checks.avatar(settings_of(OPENTALKING_DEFAULT_AVATAR="nobody"))
    assert check.level == "fail"
    assert "presenter" in check.message


def test_what_made_avatars_take_is_told_and_warned_of_before_they_are_refused(tmp_path):
    for name in ("ada", "bob"):
        (tmp_path / "avatars" / name).mkdir(parents=True)
        (tmp_path / "avatars" / name / "manifest.json").write_bytes(bytes(500_000))
    own = {"OPENTALKING_RUN_DIR": str(tmp_path)}
    told = "2 of 100, 1.0 MB of 10.0 GB"
    assert checks.made_avatars(settings_of(**own)) == checks.Check("made avatars", "ok", told)
    check = checks.made_avatars(settings_of(**own, OPENTALKING_MAX_CUSTOM_AVATARS="2"))
    assert (check.level, check.message) == ("warn", "2 of 2, 1.0 MB of 10.0 GB: no more can be made")
    assert "OPENTALKING_MAX_CUSTOM_AVATARS" in check.mend
    check = checks.made_avatars(settings_of(**own, OPENTALKING_MAX_CUSTOM_AVATARS_BYTES="1050000"))
    assert (check.level, check.message) == ("warn", "2 of 100, 1.0 MB of 1.1 MB: nearly full")


def test_a_run_directory_below_a_file_fails(tmp_path):
    (tmp_path / "file").touch()
    check = checks.run_dir(settings_of(OPENTALKING_RUN_DIR=str(tmp_path / "file" / "run")))
    assert check.level == "fail"
    assert checks.run_dir(settings_of(OPENTALKING_RUN_DIR=str(tmp_path / "new" / "run"))).level == "ok"


@pytest.mark.parametrize(("free_mb", "level"), [(1000, "ok"), (64, "warn"), (8, "fail")])
def test_small_shared_memory_as_in_docker_is_told_with_the_option_that_mends_it(tmp_path, monkeypatch, free_mb, level):
    usage = checks.shutil.disk_usage(tmp_path)._replace(free=free_mb << 20)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: usage)  # a tmpfs of a given size needs root
    check = checks.shared_memory(tmp_path)
    assert check.level == level
    assert level == "ok" or "--shm-size" in check.mend


def test_a_busy_api_port_fails(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        check = checks.api_port(settings_of(OPENTALKING_API_PORT=port, OPENTALKING_RUN_DIR=str(tmp_path)))
    assert check.level == "fail"
    assert check.message.startswith(f"OPENTALKING_API_PORT={port}")


def test_a_redis_that_does_not_answer_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert checks.redis_service(settings_of(OPENTALKING_REDIS_URL=f"redis://127.0.0.1:{port}")).level == "fail"


def test_a_collector_of_traces_that_is_down_and_a_missing_sdk_are_warnings(monkeypatch):
    assert checks.collector(settings_of()).level == "ok"
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = settings_of(OPENTALKING_OTLP_ENDPOINT=f"http://127.0.0.1:{server.getsockname()[1]}")
        assert checks.collector(settings).level == "ok"
    assert checks.collector(settings).mend == "start it, or correct or unset OPENTALKING_OTLP_ENDPOINT"
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    check = checks.collector(settings)
    assert (check.level, check.mend) == ("warn", "pip install 'opentalking[otel]'")


def test_udp_reaches_this_machine():
    assert checks.udp_loopback(settings_of()).level == "ok"


def test_a_finding_is_a_line_and_its_mend_another():
    assert line(checks.Check("cpu", "ok", "2 cores", "more")) == "ok    cpu             2 cores"
    assert line(checks.Check("cpu", "warn", "one core", "more")) == "warn  cpu             one core\n        mend: more"


def test_the_command_ends_with_1_when_something_fails(tmp_path):
    command = [sys.executable, "-m", "opentalking.cli", "doctor", "--json", "--run-dir", str(tmp_path)]
    environ = {"OPENTALKING_DEFAULT_AVATAR": "nobody", "PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin"}
    result = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert result.returncode == 1
    assert '"name": "avatar"' in result.stdout
