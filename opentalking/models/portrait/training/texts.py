"""What the voices say: the project's own sentences in `texts/`, and English drawn from a small grammar in them."""

from __future__ import annotations

import random
import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "texts"
_BLANK = re.compile(r"\{(\w+)\}")
_INITIALS = "b p m f d t n l g k h zh ch sh r z c s"
_FINALS = "a ai ao an ang e en eng ou u"
_PALATAL_INITIALS = "j q x"
_PALATAL_FINALS = "i ia ie iao iu ian in iang ing u ue un uan"


def english(rng: random.Random, count: int) -> list[str]:
    """Sentences of the grammar, and each whole sentence about once in ten of them."""
    grammar, whole = _sections("english.txt"), _sections("english.txt")["whole"]
    return [rng.choice(whole) if rng.random() < 0.1 else _sentence(rng, grammar) for _ in range(count)]


def other_languages() -> dict[str, list[str]]:
    """Sentences by espeak-ng's name of their language."""
    return _sections("other.txt")


def pinyin_syllables(rng: random.Random, count: int) -> str:
    """Mandarin syllables in no order: mouths that fifteen sentences would not show often enough."""
    syllables = []
    for _ in range(count):
        initials, finals = rng.choice([(_INITIALS, _FINALS)] * 3 + [(_PALATAL_INITIALS, _PALATAL_FINALS)])
        syllables.append(f"{rng.choice(initials.split())}{rng.choice(finals.split())}{rng.randint(1, 4)}")
    return " ".join(syllables) + "."


def held_out() -> list[str]:
    return _lines("heldout.txt")


def held_out_swedish() -> list[str]:
    return _lines("heldout_sv.txt")


def _sentence(rng: random.Random, grammar: dict[str, list[str]]) -> str:
    text = rng.choice(grammar["sentence"])
    while _BLANK.search(text):
        text = _BLANK.sub(lambda blank: rng.choice(grammar[blank.group(1)]), text)
    return text[0].upper() + text[1:]


@cache
def _sections(name: str) -> dict[str, list[str]]:
    """Lines by [section]; a line of words split by bars counts as so many lines."""
    sections: dict[str, list[str]] = {}
    for line in _lines(name):
        if line.startswith("["):
            sections[line.strip("[]")] = entries = []
        else:
            entries += [word.strip() for word in line.split(" | ")]
    return sections


def _lines(name: str) -> list[str]:
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
