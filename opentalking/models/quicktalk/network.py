"""The lip network: one recurrent ONNX graph, a frame at a time.

    audio (1, 10, 1024) ─┐
    face  (1, 7, 256, 256) ──> image (1, 3, 256, 256) RGB in 0..1
    hn, cn (2, 1, 576) ──┘     hn, cn of the next frame

`face` is the mask, the face without what the mask covers, and the face whole, RGB in 0..1. An ONNX graph is a
description, not a program: to load it runs nothing of whoever wrote it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from opentalking.models.adapter import ModelError
from opentalking.models.quicktalk.hearing import FEATURES
from opentalking.types import Float32

SIDE = 256  # pixels of the face
WINDOW = 10  # vectors of sound a frame
_STATE = (2, 1, 576)
_TAKES = ((1, WINDOW, FEATURES), (1, 7, SIDE, SIDE), _STATE, _STATE)

State = tuple[Float32, Float32]


class LipNetwork:
    """The graph on CUDA where onnxruntime has it, else on the CPU."""

    def __init__(self, path: Path, device: str, threads: int) -> None:
        """Raises ModelError if the file cannot be read, or takes something else."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
        except Exception as error:  # the library's own errors share no base
            raise ModelError(f"{path} cannot be loaded: {error}") from error
        inputs = self._session.get_inputs()
        shapes = [tuple(taken.shape) for taken in inputs]
        if len(inputs) != len(_TAKES) or not all(map(_fits, shapes, _TAKES)) or len(self._session.get_outputs()) != 3:
            raise ModelError(f"{path} is not quicktalk's network: it takes {shapes}, not {list(_TAKES)}")
        self._names = [taken.name for taken in inputs]

    def __call__(self, audio: Float32, face: Float32, state: State) -> tuple[Float32, State]:
        """The drawn face, float32 (3, 256, 256), and the next state; of audio (10, 1024) and face (7, 256, 256)."""
        given = dict(zip(self._names, (audio[None], face[None], *state), strict=True))
        image, hn, cn = self._session.run(None, given)
        return image[0], (hn, cn)


def fresh_state() -> State:
    """Of the beginning of a turn."""
    return np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)


def _fits(shape: tuple[int | str | None, ...], wanted: tuple[int, ...]) -> bool:
    """Sides that a graph leaves open are names or None."""
    return len(shape) == len(wanted) and all(
        one == other for one, other in zip(shape, wanted, strict=True) if isinstance(one, int)
    )


def _providers(device: str) -> list[Any]:
    import onnxruntime

    kind, _, index = device.partition(":")
    if kind == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return [("CUDAExecutionProvider", {"device_id": int(index or 0)}), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]
