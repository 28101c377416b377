"""python -m opentalking.avatars.studio [NAME ...] [--heads]: makes the avatars, or the heads of the tests, anew."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.studio import cartoon, heads
from opentalking.avatars.studio.backdrop import backdrop, laid_over
from opentalking.avatars.studio.cast import CAST, Avatar
from opentalking.avatars.studio.people import Person, Shot
from opentalking.types import UInt8

TEST_HEADS = Path(__file__).parents[3] / "tests/data/heads"
PREVIEW = 320  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m opentalking.avatars.studio", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="make only these")
    parser.add_argument("--heads", action="store_true", help="the heads of the tests instead of the avatars")
    parser.add_argument("--samples", type=int, help="light paths a pixel, fewer for a draft")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder to write to instead of the repository's")
    options = parser.parse_args()
    known = [head.name for head in heads.HEADS] if options.heads else [avatar.id for avatar in CAST]
    strangers = sorted(set(options.names) - set(known))
    if strangers:
        parser.error(f"unknown: {', '.join(strangers)}; known: {', '.join(known)}")

    def photograph(person: Person, shot: Shot) -> UInt8:
        from opentalking.avatars.studio.scene import photograph as render  # the drawn one needs no Blender

        return render(person, replace(shot, samples=options.samples or shot.samples), options.threads)

    wanted = options.names or known
    out = options.out or (TEST_HEADS if options.heads else PACKAGED)
    out.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        started = time.monotonic()
        if options.heads:
            head = next(head for head in heads.HEADS if head.name == name)
            others = [heads.read(out, other) for other in head.of]
            heads.write(out, name, heads.make(head, others) if others else heads.take(head, photograph))
        else:
            avatar = next(avatar for avatar in CAST if avatar.id == name)
            _write(avatar, cartoon.draw() if avatar.person is None else _taken(avatar, avatar.person, photograph), out)
        print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    if options.heads:
        facts = {head.name: head.facts() for head in heads.HEADS}
        (out / "heads.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _taken(avatar: Avatar, person: Person, photograph: Callable[[Person, Shot], UInt8]) -> UInt8:
    behind = backdrop(avatar.shot.width, avatar.shot.height, person.backdrop, person.seed)
    return laid_over(photograph(person, avatar.shot), behind)


def _write(avatar: Avatar, picture: UInt8, out: Path) -> None:
    """The bundle: the picture, its preview and the manifest."""
    folder = out / avatar.id
    folder.mkdir(parents=True, exist_ok=True)
    best = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    cv2.imwrite(str(folder / "reference.png"), picture, best)
    cv2.imwrite(str(folder / "preview.png"), _preview(picture), best)
    manifest = json.dumps(avatar.manifest(), indent=2, ensure_ascii=False)
    (folder / "manifest.json").write_text(manifest + "\n", encoding="utf-8")


def _preview(picture: UInt8) -> UInt8:
    """Head and collar, square: what a thumbnail has room for."""
    height, width = picture.shape[:2]
    side = round(0.80 * width) // 2 * 2
    left, top = (width - side) // 2, round(0.05 * height)
    cut = picture[top : top + side, left : left + side]
    return np.asarray(cv2.resize(cut, (PREVIEW, PREVIEW), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
