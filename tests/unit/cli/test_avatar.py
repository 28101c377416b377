"""`opentalking avatar`: made, listed, checked and deleted from a terminal, in words a person can act on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opentalking.cli.main import main
from tests import portraits


@pytest.fixture(autouse=True)
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENTALKING_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("OPENTALKING_ENV_FILE", "/dev/null")
    return tmp_path / "run"


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "ada.jpg"
    path.write_bytes(portraits.jpeg(portraits.presenter()))
    return str(path)


@pytest.fixture
def cat(tmp_path: Path) -> str:
    path = tmp_path / "cat.png"
    path.write_bytes(portraits.png(portraits.no_face()))
    return str(path)


def test_an_avatar_is_made_listed_and_deleted(photo: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["avatar", "build", photo, "--id", "ada", "--name", "Ada", "--i-have-consent"]) == 0
    told = capsys.readouterr().out
    assert [line.split()[-1] for line in told.splitlines()[:4]] == ["reading", "looking", "framing", "preparing"]
    assert "fine: 512x512 pixels" in told
    assert sorted(path.name.partition("-ada-")[0] for path in (run_dir / "cache").glob("*/*-ada-*")) == ["portrait"]
    assert main(["avatar", "list"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[-1].split()[0] == "ada" and rows[-1].endswith("made here")
    assert "presenter" in [row.split()[0] for row in rows if not row.endswith("made here")]
    assert main(["avatar", "build", photo, "--id", "ada", "--i-have-consent"]) == 1
    assert "there is an avatar 'ada' already" in capsys.readouterr().err
    assert main(["avatar", "delete", "ada"]) == 0
    assert list((run_dir / "cache").glob("*/*ada*")) == []
    assert main(["avatar", "delete", "presenter"]) == 1


def test_nothing_is_made_without_consent(photo: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["avatar", "build", photo]) == 2
    assert "--i-have-consent" in capsys.readouterr().err
    assert not run_dir.exists()


def test_a_refusal_has_a_reason_and_an_exit_code(cat: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["avatar", "build", cat, "--i-have-consent"]) == 1
    assert "refuse no_face: no face was found" in capsys.readouterr().err
    assert main(["avatar", "build", cat, "--i-have-consent", "--json"]) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["error"]["code"], last["error"]["report"]["verdict"]) == ("no_face", "refuse")
    assert [path.name for path in (run_dir / "avatars").iterdir()] == [".incoming"]


def test_check_only_looks(photo: str, cat: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["avatar", "check", photo]) == 0
    assert main(["avatar", "check", cat, "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["verdict"] == "refuse"
    assert main(["avatar", "check", "nowhere.png"]) == 1
    assert "nowhere.png" in capsys.readouterr().err
    assert not run_dir.exists()
