"""How much of a spoken text was heard, from the playout cursor: the only source of what the model remembers saying."""

from __future__ import annotations

from dataclasses import dataclass

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
    if " " not in fragment.text:  # Chinese, Japanese: every character is a word
        return fragment.text[: int(characters)]
    end = fragment.text.rfind(" ", 0, int(characters) + 1)  # -1: the first word was not over yet
    return fragment.text[: max(0, end)].rstrip()


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
