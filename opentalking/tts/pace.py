"""How long a text takes to say: to know what is left of one that broke off, and what is too short to be all of it.

Seconds a letter, measured on espeak-ng's and Piper's voices (docs/decisions/2026-11-25-too-short.md):

    English, German, Russian, Spanish   0.05-0.07      Korean     0.18-0.20 a syllable
    French                              0.04-0.05      Japanese   0.11-0.18 a kana
    Arabic, Hebrew, Thai                0.10-0.13      Chinese    0.24-0.28 a character
    numbers, which are words to say     0.3-0.6 a digit

A voice may be twice as fast as these, so only what is shorter than a quarter of them is called too short. Digits do not
count for that ("1000000" is one word, or two), nor does a letter that is repeated ("Nooooo!").
"""

from __future__ import annotations

import re
import unicodedata

from opentalking.tts.scripts import HAN, HANGUL, KANA, script_of

_LETTER_S, _DIGIT_S = 0.06, 0.3
_SYLLABLE_S = {HAN: 0.23, KANA: 0.13, HANGUL: 0.17}
_SHORTEST = 0.25  # of the usual length
_REPEATED = re.compile(r"(.)\1+")
# a character of a script that is written without spaces, with its marks and what follows it, or a word
_WORD = re.compile(
    r"[\u0e00-\u0eff\u2e80-\u303f\u3041-\ua4cf\uf900-\ufaff][^\w\s]*|[^\s\u0e00-\u0eff\u2e80-\ua4cf\uf900-\ufaff]+"
)


def usual_s(text: str) -> float:
    """Seconds that a usual voice takes, without pauses."""
    return sum(map(_char_s, text))


def shortest_s(text: str) -> float:
    """Seconds of sound below which this text was not said to its end; 0 if any length may be all of it."""
    letters = "".join(char for char in text if unicodedata.category(char)[0] in "LM")
    return _SHORTEST * usual_s(_REPEATED.sub(r"\1", letters))


def has_words(text: str) -> bool:
    """Whether there is anything to say: a letter or a digit."""
    return any(char.isalnum() for char in text)


def rest_after(text: str, usual_seconds: float) -> str:
    """The text from the word that was being said when so much of it was over; from the last one if all was."""
    words = [word for word in _WORD.finditer(text) if has_words(word[0])]
    over = 0.0
    for word in words:
        over += usual_s(word[0])
        if over > usual_seconds:
            return text[word.start() :]
    return text[words[-1].start() :] if words else ""


def _char_s(char: str) -> float:
    if script := script_of(char):
        return _SYLLABLE_S.get(script, _LETTER_S)
    return _LETTER_S if char.isalpha() else _DIGIT_S if char.isdigit() else 0.0
