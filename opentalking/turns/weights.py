"""Where the two small models are: a path of the settings, or a file inside a package that is never imported.

`silero_vad` would bring torch with it, `pipecat` a framework; of both only a data file is wanted. The second carries
the first one's file, too, so either will do for voice activity. Packaged files are compared with the hash of what was
measured.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentalking.config import Settings

PIP = "pip install --no-deps silero-vad==6.2.3 pipecat-ai==1.14.0"


class TurnsError(Exception):
    """Turns cannot be told apart in sound; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class _Packaged:
    name: str
    setting: str
    sha256: str
    places: tuple[tuple[str, str], ...]  # (package, file in it), in order of preference


_VAD = _Packaged(
    "voice activity detector",
    "vad_model_path",
    "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
    (("silero_vad", "data/silero_vad.onnx"), ("pipecat", "audio/vad/data/silero_vad.onnx")),
)
_TURN = _Packaged(
    "turn model",
    "turn_model_path",
    "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
    (("pipecat", "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"),),
)


def missing_vad(settings: Settings) -> str | None:
    """Why nobody can be heard speaking, or None. Reads nothing."""
    return _missing(_VAD, settings)


def missing_turn_model(settings: Settings) -> str | None:
    """Why nothing tells whether a turn sounds finished, or None; also when none is wanted. Reads nothing."""
    return None if settings.turn_model == "none" else _missing(_TURN, settings)


def find_vad(settings: Settings) -> Path:
    """Raises TurnsError."""
    return _find(_VAD, settings)


def find_turn_model(settings: Settings) -> Path:
    """Raises TurnsError."""
    return _find(_TURN, settings)


def open_model(path: Path) -> Any:
    """An onnxruntime session on one thread that sleeps when it has nothing to do. Raises TurnsError."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3  # the turn model has initialisers nobody uses, and the library would list them
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own errors share no base
        raise TurnsError(f"{path} cannot be loaded: {error}") from error


def _missing(packaged: _Packaged, settings: Settings) -> str | None:
    variable = f"OPENTALKING_{packaged.setting.upper()}"
    chosen: str = getattr(settings, packaged.setting)
    if chosen:
        return None if Path(chosen).is_file() else f"{variable}: there is no file {chosen}"
    if _packaged_file(packaged) is None:
        return f"no {packaged.name}: {PIP}, or set {variable}"
    return None


def _find(packaged: _Packaged, settings: Settings) -> Path:
    if reason := _missing(packaged, settings):
        raise TurnsError(reason)
    chosen: str = getattr(settings, packaged.setting)
    if chosen:
        return Path(chosen)
    path = _packaged_file(packaged)
    assert path is not None
    if hashlib.sha256(path.read_bytes()).hexdigest() != packaged.sha256:
        raise TurnsError(f"{path} is not the {packaged.name} that was measured: {PIP}")
    return path


def _packaged_file(packaged: _Packaged) -> Path | None:
    for package, name in packaged.places:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (path := Path(folder) / name).is_file():
                return path
    return None
