"""Every adapter that there is, as the conformance tests take it: a name, and how to get it loaded.

A new adapter is one more entry of CASES. What cannot be had here (weights, a GPU, another machine) is stood in for by
the case itself: files of the same layout, a server on this machine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.quicktalk.adapter import QuickTalkAdapter
from opentalking.models.remote.adapter import RemoteAdapter
from opentalking.models.wav2lip.adapter import Wav2LipAdapter
from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk
from tests.support.mirror import MirrorAdapter
from tests.support.quicktalk_files import write_files
from tests.support.remote_models import flashhead_elsewhere, flashtalk_elsewhere
from tests.support.synth import SynthThread
from tests.support.wav2lip_weights import write_random_checkpoint
from tests.unit.models.driver import Driver


@dataclass(frozen=True)
class Case:
    """`registered` are the names in the registry that it stands for, none if it is not of the package. `tolerance`: by
    how many levels (0..255) a picture may differ from what should be the same: 0, but for arithmetic that depends on
    the batch."""

    name: str
    registered: tuple[str, ...]
    loaded: Callable[[Path], AbstractContextManager[ModelAdapter]]
    tolerance: int = 0


@contextlib.contextmanager
def _portrait(folder: Path) -> Iterator[ModelAdapter]:
    adapter = PortraitAdapter(cache_dir=folder)
    adapter.load_model("cpu")
    yield adapter


@contextlib.contextmanager
def _quicktalk(folder: Path) -> Iterator[ModelAdapter]:
    adapter = QuickTalkAdapter(Settings(quicktalk_asset_root=str(write_files(folder))))
    adapter.load_model("cpu")
    yield adapter


@contextlib.contextmanager
def _wav2lip(folder: Path) -> Iterator[ModelAdapter]:
    """Random weights in the published layout."""
    checkpoint = write_random_checkpoint(folder / "wav2lip.pth")
    adapter = Wav2LipAdapter(Settings(wav2lip_checkpoint=str(checkpoint), wav2lip_cpu_threads=1, wav2lip_batch_size=4))
    adapter.load_model("cpu")
    checkpoint.unlink()  # 140 MB
    yield adapter


@contextlib.contextmanager
def _remote(folder: Path) -> Iterator[ModelAdapter]:
    """Our client of our server, which draws by the mirror. A first turn tells the client the server's chunks."""
    server = SynthThread(MirrorAdapter(), folder, synth_names="wav2lip")
    server.start()
    try:
        adapter = RemoteAdapter("wav2lip", "omnirt", Settings(omnirt_endpoint=server.base))
        adapter.load_model("cpu")
        first = Driver(adapter, adapter.load_avatar(PACKAGED / "presenter"))
        first.turn([AudioChunk(np.zeros(MODEL_SAMPLES, np.int16), MODEL_RATE)])
        first.close()
        yield adapter
    finally:
        server.stop()


@contextlib.contextmanager
def _mirror(folder: Path) -> Iterator[ModelAdapter]:
    adapter = MirrorAdapter()
    adapter.load_model("cpu")
    yield adapter


CASES = (
    Case("portrait", ("portrait",), _portrait),
    Case("quicktalk", ("quicktalk",), _quicktalk),
    Case("wav2lip", ("wav2lip",), _wav2lip, tolerance=2),
    Case("flashhead", ("flashhead",), flashhead_elsewhere),
    Case("flashtalk", ("flashtalk",), flashtalk_elsewhere),
    Case("musetalk", ("musetalk",), _remote),
    Case("mirror", (), _mirror),
)
