"""The network on its device: windows of sound and faces in, painted faces out, many in one pass."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from opentalking.config import Settings
from opentalking.models.wav2lip.networks import Wav2LipNet
from opentalking.types import Float32, UInt8

log = logging.getLogger(__name__)


class Synthesis:
    """A loaded network. On CUDA: half precision, channels last, compiled. On the CPU as it is, with few threads."""

    def __init__(self, network: Wav2LipNet, side: int, device: str, settings: Settings) -> None:
        self.side = side
        self._device = torch.device(device)
        self._precision = _precision(settings.wav2lip_precision, self._device)
        self._network: Any = network.to(self._device)
        self._layout = torch.contiguous_format
        if self._device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # every pass has one of few shapes
            self._layout = torch.channels_last
            self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if settings.wav2lip_compile:
                torch._dynamo.config.suppress_errors = True  # without a compiler it is slower, not broken
                self._network = torch.compile(self._network)
        else:
            torch.set_num_threads(settings.wav2lip_cpu_threads)
        log.info("wav2lip: the network of %d pixels on %s in %s", side, device, self._precision)

    def sizes_to_warm(self, most: int) -> list[int]:
        """Frames a pass, besides one, that should be tried before the first session: none on the CPU, all on CUDA."""
        return list(range(2, most + 1)) if self._device.type == "cuda" else []

    def faces(self, crops: Sequence[UInt8]) -> Tensor:
        """Crops, each BGR uint8 (side, side, 3), kept on the device: uint8 (n, 3, side, side)."""
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous().to(self._device)

    def paint(self, windows: Sequence[Float32], faces: Sequence[Tensor]) -> UInt8:
        """One pass for n windows (80, 16) and n of `faces`' rows; BGR uint8 (n, side, side, 3)."""
        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, self._precision, enabled=self._precision is not torch.float32),
        ):
            mels = torch.from_numpy(np.stack(windows))[:, None].to(self._device)
            whole = torch.stack(list(faces)).float() / 255
            masked = whole.clone()
            masked[:, :, self.side // 2 :] = 0
            seen = torch.cat([masked, whole], 1).to(memory_format=self._layout)
            painted = self._network(mels, seen).float() * 255
            pictures: UInt8 = painted.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
            return pictures


def _precision(wish: str, device: torch.device) -> torch.dtype:
    """`auto`: on CUDA bfloat16, or half where the device only imitates that; on the CPU single."""
    if wish != "auto":
        return torch.bfloat16 if wish == "bfloat16" else torch.float32
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
