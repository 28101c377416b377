"""Which scripts a text is written in, and which languages read them.

An English voice that is given Chinese says "Chinese letter" for every character. A voice that names its language reads
that language's script, and Latin beside it, which every language has words in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

LATIN, HAN, KANA, HANGUL = "Latin", "Chinese", "Japanese", "Korean"

# script -> languages that are written in it, by ISO 639; where espeak-ng is to choose, it takes the first
LANGUAGES: dict[str, tuple[str, ...]] = {
    HAN: ("cmn", "zh", "yue", "hak", "nan", "wuu"),
    KANA: ("ja",),
    HANGUL: ("ko",),
    "Cyrillic": ("ru", "uk", "bg", "be", "sr", "mk", "kk", "ky", "tg", "tt", "ba", "cv", "mn", "nog"),
    "Arabic": ("ar", "fa", "ur", "ug", "sd", "ps", "ku"),
    "Devanagari": ("hi", "mr", "ne", "kok", "sa"),
    "Greek": ("el", "grc"),
    "Hebrew": ("he", "iw", "yi"),
    "Thai": ("th",),
    "Bengali": ("bn", "as", "bpy"),
    "Tamil": ("ta",),
    "Telugu": ("te",),
    "Kannada": ("kn",),
    "Malayalam": ("ml",),
    "Gujarati": ("gu",),
    "Gurmukhi": ("pa",),
    "Oriya": ("or",),
    "Sinhala": ("si",),
    "Myanmar": ("my", "shn"),
    "Ethiopic": ("am", "ti"),
    "Georgian": ("ka",),
    "Armenian": ("hy", "hyw"),
}
_WORDS = {HAN, KANA, HANGUL}  # of these one character is a word; of the others it is a symbol: π, Ω, μm
_BY_NAME = {"CJK": HAN, "KANGXI": HAN, "IDEOGRAPHIC": HAN, "HIRAGANA": KANA, "KATAKANA": KANA, "HALFWIDTH": KANA}
_BY_NAME |= {"FULLWIDTH": LATIN} | {script.upper(): script for script in LANGUAGES if script not in _WORDS}
_BY_NAME |= {"HANGUL": HANGUL, "LATIN": LATIN}


@lru_cache(maxsize=4096)
def script_of(char: str) -> str:
    """The script of a letter or of a mark on one; "" of all else, and of letters that no language here reads."""
    if unicodedata.category(char)[0] not in "LM":
        return ""
    return _BY_NAME.get(unicodedata.name(char, "").split(" ")[0].split("-")[0], "")


def runs(text: str) -> Iterator[tuple[str, str]]:
    """(script, part), in order and without a gap; what has no script is part of what is before it, or of the first."""
    scripts = [script_of(char) for char in text]
    for at, script in enumerate(scripts):
        alone = script not in (scripts[at - 1] if at else "", *scripts[at + 1 : at + 2])
        if alone and script not in (LATIN, *_WORDS):
            scripts[at] = ""
    now = next(filter(None, scripts), "")
    start = 0
    for at, script in enumerate(scripts):
        if script and script != now:
            yield now, text[start:at]
            now, start = script, at
    if start < len(text):
        yield now, text[start:]


def scripts_in(text: str) -> set[str]:
    return {script for script, _ in runs(text) if script}


def reads(language: str, script: str) -> bool:
    """Whether a voice of this language, by a code such as en_US or cmn-latn, can read a script; "" is read by all."""
    primary = language.replace("_", "-").split("-")[0].lower()
    return script in ("", LATIN) or primary in LANGUAGES[script]
