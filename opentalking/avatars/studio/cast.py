"""The packaged avatars: who they are and how they are framed. Bundles on disk carry the recipe's digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from opentalking.avatars.studio.people import ELDER, MAN, WOMAN, Person, Shot

LICENCE = "CC0-1.0"
SAMPLE_RATE = 16_000
_PORTRAIT = Shot(samples=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Avatar:
    """One packaged avatar; without a `person` it is the drawn one."""

    id: str
    name: str
    description: str
    person: Person | None = None
    shot: Shot = _PORTRAIT

    def manifest(self) -> dict[str, Any]:
        """The bundle's `manifest.json`."""
        metadata: dict[str, Any] = {
            "description": self.description,
            "licence": LICENCE,
            "reference_mode": "image",
            "recipe": recipe(self),
        }
        if self.person is None:
            metadata["portrait"] = {"teeth": "flat"}
        return {
            "id": self.id,
            "name": self.name,
            "model_type": "portrait",
            "fps": 25,
            "sample_rate": SAMPLE_RATE,
            "width": self.shot.width,
            "height": self.shot.height,
            "version": "2.0",
            "metadata": metadata,
        }


def recipe(avatar: Avatar) -> str:
    """A digest of everything the avatar is made from but the studio's own code."""
    return hashlib.sha256(repr((avatar.id, avatar.person, avatar.shot)).encode()).hexdigest()[:16]


CAST = (
    Avatar(
        id="presenter",
        name="Presenter",
        description="A woman in her twenties who does not exist, rendered by script from CC0 data",
        person=WOMAN,
        shot=Shot(samples=20),
    ),
    Avatar(
        id="samuel",
        name="Samuel",
        description="A man in his forties who does not exist, rendered by script from CC0 data",
        person=MAN,
    ),
    Avatar(
        id="ingrid",
        name="Ingrid",
        description="A woman in her sixties who does not exist, rendered by script from CC0 data",
        person=ELDER,
    ),
    Avatar(id="drawn", name="Drawn character", description="A character drawn by script, CC0"),
)
