"""Words of a transcript, compared as a listener would: no case, no punctuation, no noises in brackets.

Chinese, Japanese and Korean signs are a word each: nothing else tells their words apart.
"""

from __future__ import annotations

import re
import unicodedata

_NOISE = re.compile(r"\[[^\]]*\]|\([^)]*\)|（[^）]*）|【[^】]*】|\*[^*]*\*")  # what recognisers write for a cough
_SIGN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_SIGN}]|[^\W_{_SIGN}]+(?:'[^\W_{_SIGN}]+)*")
_SIGN_ALONE = re.compile(rf"[{_SIGN}]")
_REPEATED = re.compile(r"(.)\1+")
_PREFIX = 3  # letters of a word that was cut off by which it is still known


def words(text: str) -> list[str]:
    """In order, casefolded: "Uh-huh, that's it [cough]" is uh, huh, that's, it."""
    plain = unicodedata.normalize("NFKC", _NOISE.sub(" ", text)).replace("’", "'").casefold()
    return _WORD.findall(plain)


def without_phrases(said: list[str], phrases: list[list[str]]) -> list[str]:
    """`said` less every occurrence of a phrase, longest first; "mmmm" is "mm", however long."""
    short = [_squeezed(word) for word in said]
    wanted = sorted(([_squeezed(word) for word in phrase] for phrase in phrases if phrase), key=len, reverse=True)
    left, at = [], 0
    while at < len(said):
        phrase = next((one for one in wanted if short[at : at + len(one)] == one), None)
        if phrase is None:
            left.append(said[at])
        at += len(phrase) if phrase else 1
    return left


def without_letters(said: list[str]) -> list[str]:
    """`said` less single letters: what recognisers make of a hum or a groan ("M.M.", "A"). Signs are words."""
    return [word for word in said if len(word) > 1 or word.isdigit() or _SIGN_ALONE.match(word)]


def in_common(said: list[str], spoken: list[str]) -> int:
    """How many words of `said` are in `spoken` in the same order, a word cut short counted as the whole one."""
    row = [0] * (len(spoken) + 1)  # longest common subsequence, a row a word
    for word in said:
        above = row
        row = [0]
        for column, other in enumerate(spoken):
            both = above[column] + 1 if _same(word, other) else 0
            row.append(max(both, above[column + 1], row[column]))
    return row[-1]


def _squeezed(word: str) -> str:
    return _REPEATED.sub(r"\1", word)


def _same(word: str, other: str) -> bool:
    return word == other or (len(word) >= _PREFIX and other.startswith(word))
