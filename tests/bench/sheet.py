"""Contact sheets of faces, to be looked at: `python -m tests.bench.sheet out.png AVATAR_DIR... [--speech FILE.wav]`.

For each avatar: the mouth at twice its size in every viseme, full and at a third of its strength; the eyes through a
blink and through the glances of the idle loop; and, with `--speech`, eight consecutive frames of what is said.
"""

from __future__ import annotations

import argparse
import wave
from pathlib import Path

import cv2
import numpy as np

from opentalking.models.portrait.adapter import PortraitAdapter, PortraitAvatar
from opentalking.models.portrait.visemes import VISEMES, mouth_of
from opentalking.types import MODEL_RATE, MODEL_SAMPLES, AudioChunk, Float32, UInt8, i420_shape

_ZOOM = 2
_COLUMNS = 8
_FAINT = 0.35  # strength of the small openings


def mouths_in(path: Path, adapter: PortraitAdapter, avatar: PortraitAvatar) -> list[Float32]:
    """The mouths of a recording, 16-bit mono at 16 kHz."""
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (MODEL_RATE, 1, 2):
            raise SystemExit(f"{path}: not 16-bit mono at {MODEL_RATE} Hz")
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    stream = adapter.open_stream(avatar)
    chunks = pcm[: len(pcm) // MODEL_SAMPLES * MODEL_SAMPLES].reshape(-1, MODEL_SAMPLES)
    found: list[Float32] = []
    for chunk in [*(AudioChunk(part, MODEL_RATE) for part in chunks), None]:
        found += adapter.infer(adapter.extract_features(chunk, stream), stream)
    return found


def _picture(adapter: PortraitAdapter, avatar: PortraitAvatar, pose: int, mouth: Float32 | None) -> UInt8:
    out = np.empty(i420_shape(avatar.width, avatar.height), np.uint8)
    if mouth is None:
        adapter.idle_frame(avatar, pose, out)
    else:
        adapter.compose_frame(adapter.open_stream(avatar), pose, mouth, out)
    return np.asarray(cv2.cvtColor(out, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _tile(picture: UInt8, box: tuple[int, int, int, int], label: str, zoom: float = _ZOOM) -> UInt8:
    x0, y0, x1, y1 = box
    cut = cv2.resize(picture[y0:y1, x0:x1], None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    cv2.putText(cut, label, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(cut, label, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(cut, np.uint8)


def _grid(tiles: list[UInt8], columns: int = _COLUMNS) -> UInt8:
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, tile in enumerate(tiles):
        y, x = index // columns * height, index % columns * width
        sheet[y : y + height, x : x + width] = tile
    return sheet


def _boxes(avatar: PortraitAvatar) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    """Around mouth and eyes."""
    rig, e = avatar.rig, float(avatar.rig.eye_distance)
    x, y = rig.seam[:, 0].mean(), rig.seam[len(rig.seam) // 2, 1]
    mouth = int(x - 0.55 * e), int(y - 0.35 * e), int(x + 0.55 * e), int(y + 0.65 * e)
    (left, top), (right, bottom) = rig.eye_boxes[:, :2].min(0), rig.eye_boxes[:, 2:].max(0)
    eyes = int(left - 0.15 * e), int(top - 0.12 * e), int(right + 0.15 * e), int(bottom + 0.12 * e)
    return _within(mouth, avatar), _within(eyes, avatar)


def _within(box: tuple[int, int, int, int], avatar: PortraitAvatar) -> tuple[int, int, int, int]:
    return max(0, box[0]), max(0, box[1]), min(avatar.width, box[2]), min(avatar.height, box[3])


def sheet(adapter: PortraitAdapter, avatar: PortraitAvatar, speech: Path | None) -> UInt8:
    """One avatar's sheet, BGR."""
    mouth_box, eye_box = _boxes(avatar)
    tiles = [
        _tile(_picture(adapter, avatar, 0, mouth_of(viseme) * np.float32(strength)), mouth_box, f"{viseme} {strength}")
        for strength in (1.0, _FAINT)
        for viseme in VISEMES
    ]
    parts = [_grid(tiles)]
    poses = [*range(30, 38), 57, 58, 97, 105, 130, 131, 140, 190]
    parts.append(_grid([_tile(_picture(adapter, avatar, pose, None), eye_box, str(pose)) for pose in poses]))
    if speech is not None:
        mouths = mouths_in(speech, adapter, avatar)
        first = int(np.argmax([mouth.sum() for mouth in mouths[8:-8]])) + 4
        frames = [_picture(adapter, avatar, first + n, mouths[first + n]) for n in range(_COLUMNS)]
        parts.append(_grid([_tile(frame, mouth_box, str(first + n)) for n, frame in enumerate(frames)]))
        whole = (0, 0, avatar.width, avatar.height)
        parts.append(_grid([_tile(frame, whole, "", zoom=0.5) for frame in frames]))
    width = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0))) for part in parts])


def main() -> None:
    parser = argparse.ArgumentParser(description="contact sheets of faces")
    parser.add_argument("output", type=Path)
    parser.add_argument("avatars", type=Path, nargs="+", metavar="AVATAR_DIR")
    parser.add_argument("--speech", type=Path, help="16-bit mono WAV at 16 kHz")
    chosen = parser.parse_args()
    adapter = PortraitAdapter()
    adapter.load_model("cpu")
    sheets = [sheet(adapter, adapter.load_avatar(path), chosen.speech) for path in chosen.avatars]
    width = max(each.shape[1] for each in sheets)
    joined = np.concatenate([np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0))) for each in sheets])
    cv2.imwrite(str(chosen.output), joined)


if __name__ == "__main__":
    main()
