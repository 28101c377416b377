"""Which device neural models run on: CUDA when there is one, else the CPU."""

from __future__ import annotations

import importlib.util
from functools import lru_cache

from opentalking.models.adapter import ModelError


@lru_cache(maxsize=4)
def choose_device(wish: str) -> str:
    """`auto` → "cuda:0" if torch sees one, else "cpu"; anything else as it is, if it exists. Raises ModelError."""
    if wish == "cpu" or (wish == "auto" and importlib.util.find_spec("torch") is None):
        return "cpu"
    if importlib.util.find_spec("torch") is None:
        raise ModelError(f"OPENTALKING_TORCH_DEVICE={wish} needs torch: pip install 'opentalking[torch]'")
    import torch

    if wish == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wish.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"OPENTALKING_TORCH_DEVICE={wish}, but torch sees no CUDA device here")
    return wish
