"""The commands' words: settings, logs, status table, redis notation, and what a mistake says."""

import os
import subprocess
import sys

import pytest

from opentalking.cli.commands import logs, redis, settings, status
from opentalking.cli.instance import Instance
from opentalking.cli.main import main
from opentalking.cli.plan import checkout
from opentalking.config import load_settings, settings_table
from opentalking.environment import read_env_file


def test_a_wrong_setting_is_told_by_name_and_ends_with_2(monkeypatch, capsys):
    monkeypatch.setenv("OPENTALKING_API_PORT", "eighty")
    assert main(["status"]) == 2
    assert "OPENTALKING_API_PORT='eighty'" in capsys.readouterr().err


def test_status_of_nothing_ends_with_3(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENTALKING_RUN_DIR", str(tmp_path))
    assert main(["status"]) == 3
    assert capsys.readouterr().err == f"not running in {tmp_path}\n"


def test_stopping_nothing_is_no_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENTALKING_RUN_DIR", str(tmp_path))
    assert main(["down"]) == 0
    assert capsys.readouterr().out == f"nothing is running in {tmp_path}\n"


def test_the_settings_table_has_a_row_a_setting():
    rows = settings.markdown().splitlines()[2:]
    assert len(rows) == len(settings_table())
    assert "| `OPENTALKING_API_PORT` | `8000` | Port of the API and the page |" in rows


def test_secrets_are_not_shown():
    secrets = {name for name, _, _ in settings_table() if settings.shown(name, "sk-123") == "(hidden)"}
    keys = {name for name, _, _ in settings_table() if name.endswith(("_API_KEY", "_TOKEN"))}
    assert secrets == keys and {"OPENTALKING_LLM_API_KEY", "OPENTALKING_SYNTH_TOKEN"} < keys
    assert settings.shown("OPENTALKING_LLM_API_KEY", "") == ""


@pytest.mark.parametrize(
    ("name", "value", "seen"),
    [
        ("REDIS_URL", "redis://:pass@db:6379/0", "redis://***@db:6379/0"),
        ("REDIS_URL", "redis://:pa/ss:w@rd@db:6379/0", "redis://***@db:6379/0"),
        ("LLM_BASE_URL", "https://sk-token@host/v1", "https://***@host/v1"),
        ("LLM_BASE_URL", "https://host/v1?api_key=sk-1", "https://host/v1?***"),
        ("LLM_BASE_URL", "http://localhost:11434/v1", "http://localhost:11434/v1"),
        ("ICE_SERVERS", "stun:s:3478,turn:me:pa/ss@host:3478", "stun:s:3478,turn:***@host:3478"),
        ("LLM_MAX_TOKENS", "160", "160"),
        ("KEYFRAME_MIN_INTERVAL_MS", "300", "300"),
        ("LLM_SYSTEM_PROMPT", "Write to me@home?", "Write to me@home?"),
    ],
)
def test_of_an_address_only_where_it_leads_is_shown(name, value, seen):
    assert settings.shown(f"OPENTALKING_{name}", value) == seen


def test_every_line_of_the_example_file_is_a_setting_that_loads(tmp_path):
    text = (checkout() / ".env.example").read_text()
    example = tmp_path / "env"
    example.write_text("".join(f"{row[1:]}\n" for row in text.splitlines() if row.startswith("#OPENTALKING_")))
    names = set(read_env_file(example))
    assert names and names <= {name for name, _, _ in settings_table()}
    assert load_settings({"OPENTALKING_ENV_FILE": str(example)}).llm_model == "qwen2.5:7b"


def test_logs_are_chosen_by_process_by_kind_or_all(tmp_path):
    for name in ("api.log", "speech-0.log", "speech-1.log", "speech-0.log.1", "supervisord.out"):
        (tmp_path / name).touch()

    def chosen(name):
        return [path.name for path in logs.log_files(tmp_path, name)]

    assert chosen("speech-1") == ["speech-1.log"]
    assert chosen("speech") == ["speech-0.log", "speech-1.log"]
    assert chosen("") == ["api.log", "speech-0.log", "speech-1.log"]
    assert chosen("rtc") == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0 s"), (59, "59 s"), (184, "3 min 4 s"), (18_360, "5 h 6 min"), (633_600, "7 d 8 h")],
)
def test_durations_are_told_in_two_units(seconds, text):
    assert status.duration(seconds) == text


def test_the_status_table_lines_up():
    one = Instance(
        pid=1, start_ticks=1, world="", node="n-1", url="http://127.0.0.1:8000", run_dir="", redis_url="",
        llm_base_url="", socket="", shm_root="", processes=("api",), started_at=0, version="0.1.0",
    )  # fmt: skip
    up = {
        "process": "speech-0",
        "state": "running",
        "pid": 42,
        "uptime_s": 61,
        "memory_mb": 250,
        "sessions": 2,
        "note": "",
    }
    dead = {"process": "api", "state": "fatal", "pid": None, "uptime_s": None, "memory_mb": None, "sessions": None}
    lines = status.table(one, [up, dead | {"note": "Exited too quickly"}]).splitlines()
    assert lines[2:] == [
        "PROCESS       STATE          PID     UPTIME   MEMORY  SESSIONS",
        "speech-0      running         42  1 min 1 s   250 MB         2",
        "api           fatal            -          -        -         -   Exited too quickly",
    ]


def test_answers_look_as_in_redis_cli():
    assert redis.shown(3) == "(integer) 3"
    assert redis.shown(None) == "(nil)"
    assert redis.shown('say "hi"\n') == '"say \\"hi\\"\\n"'
    assert redis.shown([]) == "(empty array)"
    assert redis.shown(["1-0", ["event", "llm"]]) == '1) "1-0"\n2) 1) "event"\n   2) "llm"'


def test_redis_commands_reach_the_server_and_its_refusals_come_back(redis_url):
    def send(*words, stdin=""):
        environ = os.environ | {"OPENTALKING_REDIS_URL": redis_url, "PYTHONPATH": str(checkout())}
        command = [sys.executable, "-m", "opentalking.cli", "redis", *words]
        return subprocess.run(command, env=environ, input=stdin, capture_output=True, text=True)

    assert send("HSET", "opentalking:test", "a b", "1").stdout == "(integer) 1\n"
    assert send("HGETALL", "opentalking:test").stdout == '1) "a b"\n2) "1"\n'
    refused = send("NOSUCH")
    assert refused.returncode == 1 and refused.stdout.startswith("(error)")
    assert send(stdin='PING\nSET k "v w"\nGET k\nquit\n').stdout == '"PONG"\n"OK"\n"v w"\n'
