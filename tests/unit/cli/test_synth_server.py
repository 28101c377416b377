"""`opentalking synth-server`: options are settings of the process that it becomes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from opentalking.cli.main import main
from opentalking.config import load_settings


def test_options_are_settings_and_the_key_is_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    become: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: become.extend(arguments))
    options = ["--model", "wav2lip", "--as", "a,b", "--port", "99", "--token", "sesame", "--avatars-dir", "/faces"]
    main(["synth-server", *options])
    _, command, environ = become
    assert command[1:] == ["-m", "workers.synth"]
    settings = load_settings({**environ, "OPENTALKING_ENV_FILE": os.devnull})
    assert (settings.synth_model, settings.synth_names, settings.synth_port) == ("wav2lip", "a,b", 99)
    assert (settings.synth_token, settings.avatars_dir) == ("sesame", "/faces")
    assert settings.synth_max_sessions == 8  # what is not said stays as it was
