"""Somebody speaks while the avatar does: pause at once, listen, then stop it for good or let it go on.

    avatar    speaking ###########|            paused              |#### speaks on: the same sound, nothing lost
    person              ....######|####____________________________|
                               96 ms                  400 ms silence: RESUME cough | backchannel | echo
                               PAUSE                       2500 ms: RESUME silence (or what it was)

    avatar    speaking ###########|            paused  X  silent: the generation is raised, the person's turn goes on
    person              ....######|###################################___
                               PAUSE                   CUT: words that count

The voice activity detector alone cannot tell "stop" from a cough, so it only pauses. What counts are words, asked for
after barge_in_look_ms of speech, or when it ends. A word counts unless it only tells that one listens ("uh-huh"), is a
letter that stands for a hum ("M."), or is the avatar's own, heard again through a loudspeaker; nor does the last one
while speech goes on, which may be half a word. Of less speech than barge_in_look_ms, only barge_in_short_words count:
recognisers make some word of every cough. As soon as barge_in_min_words count, the avatar is cut. It speaks on once
there has been silence for barge_in_silence_ms and all of what was said is known not to count, and at the latest
barge_in_wait_ms after the pause: nobody may hush it by humming.

This is a pure function of the evidence; who calls it keeps the pause, and drops it when it is told to resume or cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from opentalking.config import Settings
from opentalking.turns.words import in_common, without_letters, without_phrases, words


class Act(Enum):
    WAIT = "wait"
    PAUSE = "pause"
    CUT = "cut"
    RESUME = "resume"


class Reason(Enum):
    """Why the avatar speaks on."""

    COUGH = "cough"  # speech without words
    BACKCHANNEL = "backchannel"  # or a hum, which recognisers write as letters
    ECHO = "echo"
    SILENCE = "silence"  # no words that count in time


@dataclass(frozen=True, slots=True)
class Ruling:
    act: Act
    reason: Reason | None = None  # of RESUME


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the speech over the avatar. All times are the audio's own."""

    speaking: bool  # the voice activity detector says so
    paused_ms: int | None  # how long the avatar has been paused; None: it speaks
    speech_ms: int  # length of the speech
    silence_ms: int  # since its last hop
    text: str | None = None  # what the recogniser makes of it; None: nothing yet
    complete: bool = False  # `text` covers all of that speech
    spoken: str = ""  # what the avatar said just before its pause, and was about to say


class BargeIn:
    def __init__(self, settings: Settings) -> None:
        self._enabled = settings.barge_in
        self._look_ms = settings.barge_in_look_ms
        self._min_words = settings.barge_in_min_words
        self._silence_ms = settings.barge_in_silence_ms
        self._wait_ms = settings.barge_in_wait_ms
        self._share = settings.barge_in_echo_share
        self._turn_look_ms = settings.turn_look_ms
        self._backchannels = phrases(settings.backchannels)
        self._short_words = phrases(settings.barge_in_short_words)

    def wants_words(self, evidence: Evidence) -> bool:
        """Is it time to have the speech recognised, if that is not under way?"""
        over = not evidence.speaking and evidence.silence_ms >= self._turn_look_ms
        return evidence.paused_ms is not None and (evidence.speech_ms >= self._look_ms or over)

    def decide(self, evidence: Evidence) -> Ruling:
        if evidence.paused_ms is None:
            return Ruling(Act.PAUSE if self._enabled and evidence.speaking else Act.WAIT)
        kind = None
        if evidence.text is not None:
            kind = self._kind(evidence, words(evidence.text))
            if kind is None:
                return Ruling(Act.CUT)
        if evidence.paused_ms >= self._wait_ms:
            heard = kind if kind in (Reason.BACKCHANNEL, Reason.ECHO) else None
            return Ruling(Act.RESUME, heard or Reason.SILENCE)
        if kind and evidence.complete and not evidence.speaking and evidence.silence_ms >= self._silence_ms:
            return Ruling(Act.RESUME, kind)
        return Ruling(Act.WAIT)

    def _kind(self, evidence: Evidence, said: list[str]) -> Reason | None:
        """What the words are, if they do not count; None if they do."""
        if not evidence.complete:
            said = said[:-1]
        if not said:
            return Reason.COUGH
        if is_backchannel(said, self._backchannels):
            return Reason.BACKCHANNEL
        content = without_letters(without_phrases(said, self._backchannels))
        own = words(evidence.spoken)
        if is_echo(content, own, self._share):
            return Reason.ECHO
        if evidence.speech_ms < self._look_ms and without_phrases(content, self._short_words) == content:
            return Reason.COUGH
        return None if len(content) - in_common(content, own) >= self._min_words else Reason.SILENCE


def phrases(listed: str) -> list[list[str]]:
    """Of a comma-separated setting: the words of each phrase."""
    return [said for phrase in listed.split(",") if (said := words(phrase))]


def is_backchannel(said: list[str], listed: list[list[str]]) -> bool:
    """Do these words only tell that one listens? Not if there are none."""
    return bool(said) and not without_letters(without_phrases(said, listed))


def is_echo(said: list[str], spoken: list[str], share: float) -> bool:
    """Are at least this share of the words what the avatar says, in its order?"""
    own = in_common(said, spoken)
    return own > 0 and own >= share * len(said)
