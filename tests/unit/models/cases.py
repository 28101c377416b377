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

from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.quicktalk.adapter import QuickTalkAdapter
from tests.support.mirror import MirrorAdapter
from tests.support.quicktalk_files import write_files


@dataclass(frozen=True)
class Case:
    """`registered` is the name in the registry, None for one that is not of the package. `tolerance` is how many levels
    (0..255) a picture may differ from what should be the same: 0, but for arithmetic that depends on the batch."""

    name: str
    registered: str | None
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
def _mirror(folder: Path) -> Iterator[ModelAdapter]:
    adapter = MirrorAdapter()
    adapter.load_model("cpu")
    yield adapter


CASES = (
    Case("portrait", "portrait", _portrait),
    Case("quicktalk", "quicktalk", _quicktalk),
    Case("mirror", None, _mirror),
)
