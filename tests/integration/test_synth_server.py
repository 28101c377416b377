"""The synth-server as a process of its own: killed, stopped, started wrongly, and on another machine."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.adapter import ModelError
from opentalking.models.remote.adapter import RemoteAdapter
from tests.support.late import LateDriver, pitches, tones
from tests.support.namespaces import FIRST, TwoMachines
from tests.support.synth_process import SynthProcess, clean_environ

pytestmark = pytest.mark.integration

MIRROR = ("--model", "mirror", "--as", "wav2lip")


def driver_of(base: str) -> LateDriver:
    adapter = RemoteAdapter("wav2lip", "omnirt", Settings(omnirt_endpoint=base))
    adapter.load_model("cpu")
    return LateDriver(adapter, adapter.load_avatar(PACKAGED / "presenter"))


def test_a_server_that_is_killed_costs_its_turn_and_the_next_one_finds_the_next_server(tmp_path: Path) -> None:
    server = SynthProcess(*MIRROR, TMPDIR=str(tmp_path))
    server.start()
    driver = driver_of(server.base)
    try:
        driver.speak(tones(pitches(100)), ends=False, enough=5)
        server.kill()
        with pytest.raises(ModelError, match="the connection broke") as caught:
            driver.speak(tones(pitches(100)))
        assert caught.value.reason == "omnirt_unavailable"
        driver.adapter.reset(driver.stream)
        with pytest.raises(ModelError, match="cannot be reached"):
            driver.speak(tones(pitches(5)))
        with pytest.raises(ModelError, match="cannot be reached"):
            driver.adapter.load_model("cpu")
        server.start()
        driver.adapter.load_model("cpu")
        driver.adapter.reset(driver.stream)
        assert len(driver.speak(tones(pitches(30)))) == 30
        assert server.stop() == 0
        assert list(tmp_path.iterdir()) == []  # also of the one that was killed
    finally:
        driver.close()
        server.process.kill()


def test_it_stops_when_told_to_and_leaves_nothing_of_the_pictures(tmp_path: Path) -> None:
    server = SynthProcess(*MIRROR, TMPDIR=str(tmp_path))
    server.start()
    driver = driver_of(server.base)
    driver.speak(tones(pitches(3)))
    assert len(list(tmp_path.rglob("reference.png"))) == 1
    assert server.stop() == 0
    assert list(tmp_path.iterdir()) == []
    driver.close()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--model", "musetalk"], "musetalk runs on another machine by your settings; serve a model that is local"),
        (["--model", "slow"], "a frame here, and a frame lasts 40"),
        (["--model", "wax"], "unknown model 'wax'; known: "),
        (["--port", "TAKEN"], "address already in use"),
        (["--port", "eighty"], "OPENTALKING_SYNTH_PORT='eighty'"),
    ],
)
def test_what_keeps_it_from_serving_is_said(arguments: list[str], complaint: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "opentalking.cli", "synth-server", "--model", "mirror"]
        command += [port if argument == "TAKEN" else argument for argument in arguments]
        done = subprocess.run(command, env=clean_environ(), capture_output=True, text=True, timeout=60)
    assert done.returncode in (1, 2)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("opentalking") and complaint in last and "Traceback" not in done.stderr


def test_a_face_is_drawn_on_one_machine_for_another() -> None:
    with TwoMachines() as (here, there), SynthProcess(*MIRROR, host=FIRST, namespace=here) as server:
        with pytest.raises(ModelError):  # it is not on our own network
            driver_of(server.base)
        guest = ["ip", "netns", "exec", there, sys.executable, "-m", "tests.support.remote_guest", server.base]
        done = subprocess.run(guest, env=clean_environ(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["pictures"], told["right"]) == (told["slots"], told["slots"])
