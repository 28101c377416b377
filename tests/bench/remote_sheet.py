"""A contact sheet of a filmed face from another machine, to be looked at: `python -m tests.bench.remote_sheet out.png`.

A packaged person is filmed swaying, and made an avatar of. A turn of 14 frames goes in and out of the idle loop; what
the server would draw on the still is the portrait's mouth. Upper row: the server's picture as it is, cross-faded; lower
row: its mouth laid where the face is.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from opentalking.avatars.build import Order, build, consent_now
from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.planes import planes
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.portrait.interior import draw_interior
from opentalking.models.portrait.visemes import mouth_of
from opentalking.models.remote.filmed import read_filmed
from opentalking.models.remote.pictures import blended, decode_jpeg, idle_pictures
from opentalking.models.remote.stream import FADE_FRAMES
from opentalking.types import UInt8
from tests.unit.avatars.filming import film

SAID = ("sil", "aa", "aa", "E", "I", "O", "U", "PP", "aa", "SS", "nn", "aa", "O", "sil")
_FILMED, _AROUND, _TILE = 60, 2, 240


def _tile(i420: UInt8, label: str) -> UInt8:
    bgr = cv2.resize(cv2.cvtColor(i420, cv2.COLOR_YUV2BGR_I420), (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    cv2.putText(bgr, label, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(bgr, np.uint8)


def sheet(person: str, start: int, scratch: Path) -> tuple[UInt8, float]:
    """The sheet, of a turn that begins at idle pose `start`, and the CPU time of a frame's mouth, ms (median)."""
    picture = np.asarray(cv2.imread(str(PACKAGED / person / "reference.png")), np.uint8)
    settings = Settings(run_dir=str(scratch))
    filmed = film(scratch / "film.mp4", picture, _FILMED)
    bundle = build(Order(source=filmed, folder=scratch / "made", consent=consent_now("nobody")), settings).bundle
    portrait = PortraitAdapter(scratch)
    portrait.load_model("cpu")
    avatar = portrait.load_avatar(bundle.path)
    idle = idle_pictures(bundle)
    mouth = read_filmed(bundle, idle)
    assert mouth is not None

    def sent(name: str) -> UInt8:
        out = avatar.rest.copy()
        if name != "sil":
            draw_interior(avatar.rig, mouth_of(name), avatar.lips.draw(mouth_of(name), planes(out)), planes(out))
        jpeg = cv2.imencode(".jpg", cv2.cvtColor(out, cv2.COLOR_YUV2BGR_I420), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        return decode_jpeg(jpeg.tobytes(), avatar.width, avatar.height)

    rows: tuple[list[UInt8], list[UInt8]] = ([], [])
    times = []
    for number in range(-_AROUND, len(SAID) + _AROUND):
        pose = (start + number) % len(idle)
        faded, laid = idle[pose].copy(), idle[pose].copy()
        if 0 <= number < len(SAID):
            share = min(1.0, min(number + 1, len(SAID) - number) / (FADE_FRAMES + 1))
            told = sent(SAID[number])
            blended(told, share, idle[pose], faded)
            begun = time.process_time()
            mouth.draw(pose, told, share, laid)
            times.append(time.process_time() - begun)
        for row, shown in zip(rows, (faded, laid), strict=True):
            row.append(_tile(shown, f"{pose}"))
    half = len(rows[0]) // 2
    bands = [np.hstack(row[part]) for part in (slice(half), slice(half, None)) for row in rows]
    return np.vstack(bands), float(np.median(times)) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--person", default="presenter", help="a packaged avatar")
    parser.add_argument("--start", type=int, default=18, help="idle pose at which the turn begins")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        picture, frame_ms = sheet(options.person, options.start, Path(scratch))
    cv2.imwrite(str(options.out), picture)
    print(f"{options.out}: {frame_ms:.2f} ms of CPU a frame for the mouth")


if __name__ == "__main__":
    main()
