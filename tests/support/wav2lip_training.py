"""A stand-in for a published checkpoint: the 96 network, taught for some minutes to move one avatar's mouth.

`python -m tests.support.wav2lip_training [--minutes 10] [--output wav2lip.pth]`

The teacher is the CPU face: its frames of the packaged presenter speaking the recordings in tests/data/speech, one of
which is kept back. The pupil sees the still picture and hears the mel windows, as it will in use. Then the kept
recording is drawn by both adapters and their mouths are compared: correlation and lag of the opening, and as a control
the same with half of the recording between them. The file is 140 MB and is not kept in the repository. Tests take
random weights (`wav2lip_weights.py`); this shows that sound, loading, painting and paste-back are joined rightly, which
random weights cannot.
"""

from __future__ import annotations

import argparse
import time
import wave
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from opentalking.avatars import read_bundle
from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.landmarks import FaceFinder
from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.wav2lip.adapter import Wav2LipAdapter, network_crop
from opentalking.models.wav2lip.mel import FrameWindows
from opentalking.models.wav2lip.networks import LAYOUTS, Wav2LipNet
from opentalking.models.wav2lip.references import read_references
from opentalking.types import FRAME_MS, MODEL_RATE, MODEL_SAMPLES, AudioChunk, Float32, Int16, UInt8, i420_shape
from tests.support.lips import lag_and_correlation, openings
from tests.support.spoken import RECORDINGS

SIDE = 96
BATCH = 4
KEPT_BACK = "sense_and_sensibility_0920.wav"
_MOUTH_WEIGHT = 10.0  # of a pixel that moves, against one that does not


def read(path: Path) -> Int16:
    """A recording at 16 kHz, whole chunks, followed by a fifth of a second of silence."""
    with wave.open(str(path)) as recording:
        assert recording.getframerate() == MODEL_RATE
        pcm = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
    return np.pad(pcm, (0, -len(pcm) % MODEL_SAMPLES + 5 * MODEL_SAMPLES))


def drawn(adapter: ModelAdapter, pcm: Int16) -> list[UInt8]:
    """The presenter speaking, pose 0, as I420."""
    avatar = adapter.load_avatar(PACKAGED / "presenter")
    stream = adapter.open_stream(avatar)
    frames = []
    for part in [*pcm.reshape(-1, MODEL_SAMPLES), None]:
        chunk = None if part is None else AudioChunk(part, MODEL_RATE)
        for prediction in adapter.infer(adapter.extract_features(chunk, stream), stream):
            frames.append(np.empty(i420_shape(avatar.width, avatar.height), np.uint8))
            adapter.compose_frame(stream, 0, prediction, frames[-1])
    return frames


def windows(pcm: Int16) -> list[Float32]:
    """What the network hears of each frame."""
    heard = FrameWindows()
    return heard.push(pcm.astype(np.float32) / np.float32(32768)) + heard.finish()


def lessons(teacher: ModelAdapter) -> tuple[Tensor, Tensor, Tensor]:
    """Mels (n, 1, 80, 16), the still face (6, 96, 96), and the teacher's faces (n, 3, 96, 96)."""
    import cv2

    bundle = read_bundle(PACKAGED / "presenter")
    (reference,) = read_references(bundle, FaceFinder(), (0, 10, 0, 0), 1)
    mels, faces = [], []
    for path in sorted(RECORDINGS.glob("*.wav")):
        if path.name == KEPT_BACK:
            continue
        pcm = read(path)
        mels += windows(pcm)
        for frame in drawn(teacher, pcm):
            bgr = np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2BGR_I420), np.uint8)
            faces.append(network_crop(bgr, reference.box, SIDE))
    still = torch.from_numpy(network_crop(reference.picture, reference.box, SIDE)).permute(2, 0, 1).float() / 255
    masked = still.clone()
    masked[:, SIDE // 2 :] = 0
    targets = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float() / 255
    return torch.from_numpy(np.stack(mels))[:, None], torch.cat([masked, still]), targets


def train(mels: Tensor, face: Tensor, targets: Tensor, minutes: float) -> Wav2LipNet:
    torch.manual_seed(1)
    network = Wav2LipNet(LAYOUTS[SIDE])
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    moves = targets.std(0).mean(0)
    weight = 1 + _MOUTH_WEIGHT * moves / moves.max()
    until = time.monotonic() + 60 * minutes
    step = 0
    while time.monotonic() < until:
        chosen = torch.randint(len(mels), (BATCH,))
        left = (until - time.monotonic()) / (60 * minutes)
        optimiser.param_groups[0]["lr"] = 1e-3 * max(0.03, min(1.0, 2 * left))
        with torch.autocast("cpu", torch.bfloat16):
            painted = network(mels[chosen], face.expand(BATCH, -1, -1, -1))
        loss = ((painted.float() - targets[chosen]).abs() * weight).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 20 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--output", type=Path, default=Path("wav2lip.pth"))
    options = parser.parse_args()
    teacher = PortraitAdapter()
    teacher.load_model("cpu")
    network = train(*lessons(teacher), options.minutes)
    torch.save({"state_dict": network.state_dict(), "global_step": 0}, options.output)
    pupil = Wav2LipAdapter(Settings(wav2lip_checkpoint=str(options.output)))
    pupil.load_model("cpu")
    kept = read(RECORDINGS / KEPT_BACK)
    taught, learned = (openings(drawn(adapter, kept)) for adapter in (teacher, pupil))
    lag, correlation = lag_and_correlation(learned, taught)
    _, control = lag_and_correlation(np.roll(learned, len(learned) // 2), taught)
    print(f"kept recording: lag {lag * FRAME_MS:+.0f} ms, correlation {correlation:.2f}, shifted control {control:.2f}")


if __name__ == "__main__":
    main()
