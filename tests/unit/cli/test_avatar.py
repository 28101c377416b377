"""`opentalking avatar`: made, listed, checked and deleted from a terminal, in words a person can act on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opentalking.cli.main import main
from opentalking.models.adapter import ModelAdapter
from opentalking.models.idle_clip import prepare_avatar
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


def test_only_a_model_that_there_is_can_be_named(photo: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["avatar", "build", photo, "--model", "nonsense", "--i-have-consent"]) == 1
    assert "there is no model 'nonsense'; known: " in capsys.readouterr().err
    assert not run_dir.exists()


def test_without_a_name_it_has_the_files_and_a_name_has_a_limit(
    photo: str, run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "a-" * 31 + "b"
    assert main(["avatar", "build", photo, "--id", long, "--i-have-consent"]) == 0
    assert json.loads((run_dir / "avatars" / long / "manifest.json").read_text())["name"] == "ada"
    capsys.readouterr()
    assert main(["avatar", "list"]) == 0
    made = capsys.readouterr().out.splitlines()[-1].split()
    assert [made[0], *made[3:]] == [long, "ada", "made", "here"]
    for name in ("x" * 65, "a\nb"):
        assert main(["avatar", "build", photo, "--name", name, "--i-have-consent"]) == 1
        assert "the name: at most 64 letters on one line" in capsys.readouterr().err


def test_an_avatar_for_elsewhere_leaves_nothing_here(photo: str, run_dir: Path, tmp_path: Path) -> None:
    assert main(["avatar", "build", photo, "--id", "ada", "--output", str(tmp_path / "out"), "--i-have-consent"]) == 0
    assert (tmp_path / "out" / "ada" / "manifest.json").is_file()
    assert list(run_dir.rglob("*ada*")) == []


def test_what_is_made_ready_while_it_is_deleted_leaves_nothing(
    photo: str, run_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deleted_meanwhile(cache_dir: Path, adapter: ModelAdapter, bundle: Path) -> None:
        prepare_avatar(cache_dir, adapter, bundle)
        assert main(["avatar", "delete", "ada"]) == 0
        assert not bundle.exists()
        (cache_dir / "idle").mkdir(exist_ok=True)
        (cache_dir / "idle" / "portrait-ada-0123456789ab.i420").write_bytes(b"rendered to its end")

    assert main(["avatar", "build", photo, "--id", "ada", "--i-have-consent"]) == 0
    monkeypatch.setattr("opentalking.cli.commands.avatar.prepare_avatar", deleted_meanwhile)
    assert main(["avatar", "prewarm", "ada"]) == 1
    assert "no avatar 'ada'" in capsys.readouterr().err
    assert list(run_dir.glob("cache/*/*ada*")) == []
