"""Which device neural models run on: CUDA when there is one, else the CPU."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

from opentalking.models.adapter import ModelError

_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA, AMD, either below WSL: without one torch sees no device


@lru_cache(maxsize=4)
def choose_device(wish: str) -> str:
    """`auto` → "cuda:0" if torch sees one, else "cpu"; anything else as it is, if it exists. Raises ModelError."""
    if wish == "cpu" or (wish == "auto" and not _may_see_a_device()):
        return "cpu"
    if importlib.util.find_spec("torch") is None:
        raise ModelError(f"OPENTALKING_TORCH_DEVICE={wish} needs torch: pip install 'opentalking[torch]'")
    import torch

    if wish == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wish.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"OPENTALKING_TORCH_DEVICE={wish}, but torch sees no CUDA device here")
    return wish


def _may_see_a_device() -> bool:
    """To ask torch costs two seconds, which a restarted process, and who waits for it, do not have."""
    return importlib.util.find_spec("torch") is not None and any(Path(driver).exists() for driver in _DRIVERS)
