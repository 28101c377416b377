"""`python -m tests.bench.photos`: what is measured of each portrait we have, as the table of docs/photo.md.

Packaged avatars, the two portraits of tests/portraits.py, the rendered heads of tests/data/heads, and the first three
with masks, hands and microphones painted over the mouth.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from opentalking.avatars.assess import assess
from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.faces import find_faces
from opentalking.avatars.landmarks import FaceFinder
from opentalking.avatars.mouth import mouth_evidence, upright
from opentalking.avatars.worn import worn
from opentalking.types import UInt8
from tests import portraits
from tests.unit.avatars import coverings

HEADS = Path(__file__).parents[1] / "data" / "heads"
HEADER = """| picture | verdict | yaw, pitch, roll | width px | unsteady | seam | redness | frames | chin |
|---|---|---|---|---|---|---|---|---|"""


def pictures(finder: FaceFinder) -> Iterator[tuple[str, UInt8]]:
    for path in sorted(PACKAGED.glob("*/reference.png")):
        yield path.parent.name, portraits.read(path)
    yield "astronaut", portraits.astronaut()
    yield "hopper", portraits.hopper()
    yield "cat", portraits.no_face()
    for path in sorted(HEADS.glob("*.*")):
        if path.suffix in (".png", ".jpg"):
            yield f"head: {path.stem}", portraits.read(path)
    for name, bgr in (
        ("presenter", portraits.presenter()),
        ("astronaut", portraits.astronaut()),
        ("hopper", portraits.hopper()),
    ):
        face = find_faces(finder, bgr)[0]
        yield f"{name}, blue mask", coverings.mask(bgr, face, (200, 170, 120))
        yield f"{name}, skin-coloured mask", coverings.mask(bgr, face, (150, 170, 215))
        yield f"{name}, hand", coverings.hand(bgr, face)
        yield f"{name}, microphone", coverings.microphone(bgr, face)
        yield f"{name}, low microphone", coverings.microphone(bgr, face, below=0.22)


def row(finder: FaceFinder, name: str, bgr: UInt8) -> str:
    portrait = assess(finder, bgr)
    found, face = portrait.report.face, portrait.face
    codes = [finding.code for finding in portrait.report.findings if finding.severity == portrait.report.verdict]
    verdict = ": ".join(filter(None, (portrait.report.verdict, ", ".join(codes))))
    if face is None or found is None:
        return f"| {name} | {verdict} |" + " |" * 7
    seen, wears = mouth_evidence(finder, portrait.bgr, face), worn(*upright(portrait.bgr, face))
    return (
        f"| {name} | {verdict} | {found.yaw:+.0f}, {found.pitch:+.0f}, {found.roll:+.0f} | {found.width_px:.0f} "
        f"| {seen.unsteady:.2f} | {seen.seam:.2f} | {seen.redness:+.1f} | {wears.frames:.1f} | {wears.chin:+.0f} |"
    )


def main() -> None:
    finder = FaceFinder()
    print(HEADER)
    for name, bgr in pictures(finder):
        print(row(finder, name, bgr), flush=True)


if __name__ == "__main__":
    main()
