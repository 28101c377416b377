"""The graph's signature is looked at before anybody waits for a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opentalking.models.adapter import ModelError
from opentalking.models.quicktalk.network import SIDE, LipNetwork, fresh_state
from tests.support.quicktalk_files import write_network


def test_a_frame_depends_on_its_sound_and_on_what_came_before(quicktalk_root: Path) -> None:
    network = LipNetwork(quicktalk_root / "checkpoints" / "256.onnx", "cpu", 1)
    face = np.ones((7, SIDE, SIDE), np.float32)
    loud, silent = np.ones((10, 1024), np.float32), np.zeros((10, 1024), np.float32)
    first, state = network(loud, face, fresh_state())
    assert first.shape == (3, SIDE, SIDE) and first.min() < 0.8
    after_loud, _ = network(silent, face, state)
    after_nothing, _ = network(silent, face, fresh_state())
    assert first.min() < after_loud.min() < after_nothing.min()


def test_a_graph_of_another_signature_is_refused_with_what_it_takes(tmp_path: Path) -> None:
    write_network(tmp_path / "256.onnx", vectors=16)
    with pytest.raises(ModelError, match=r"is not quicktalk's network: it takes \[\(1, 16, 1024\)"):
        LipNetwork(tmp_path / "256.onnx", "cpu", 1)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "256.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"256\.onnx cannot be loaded"):
        LipNetwork(tmp_path / "256.onnx", "cpu", 1)
