"""How much of a spoken text was heard, from the playout cursor: the only source of what the model remembers saying."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Chinese, Japanese, Thai are written without spaces: there every character counts as a word
_WORD = re.compile(r"[\u0e00-\u0eff\u2e80-\ua4cf\uf900-\ufaff\ufe30-\uffef]|[^\s\u0e00-\u0eff\u2e80-\ua4cf]+")
_SAMPLES_PER_CHARACTER = 48_000 // 15  # a usual pace of speech, for a fragment whose length is not known yet


@dataclass(slots=True)
class SpokenFragment:
    """A fragment of a turn: its text, and how many samples (48 kHz) its sound has so far; `complete` once it is all."""

    text: str
    samples: int = 0
    complete: bool = False


def heard_of_fragment(fragment: SpokenFragment, sample: int) -> str:
    """The words of a fragment whose sound was over by `sample`, words taken to sound as long as they are written."""
    length = fragment.samples
    if not fragment.complete:
        length = max(length, len(fragment.text) * _SAMPLES_PER_CHARACTER)
    if length <= 0:
        return ""
    characters = len(fragment.text) * min(1.0, sample / length)
    if characters >= len(fragment.text):
        return fragment.text
    ends = [word.end() for word in _WORD.finditer(fragment.text) if word.end() <= characters]
    return fragment.text[: ends[-1]] if ends else ""


def heard_of_turn(fragments: list[SpokenFragment], fragment: int, sample: int) -> str:
    """What was heard when the cursor stood at `sample` of `fragment`: all before it, and its own words so far."""
    whole = [part.text for part in fragments[:fragment]]
    if fragment < len(fragments):
        whole.append(heard_of_fragment(fragments[fragment], sample))
    return join_fragments([text for text in whole if text])


def join_fragments(texts: list[str]) -> str:
    """Fragments as one text: a space between them, except after full-width punctuation."""
    joined = ""
    for text in texts:
        joined += text if not joined or joined[-1] in "。！？，；：、…" else " " + text
    return joined
