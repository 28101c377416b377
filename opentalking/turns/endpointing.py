"""When is a turn over? Silence says when to ask; the words and how they sound say how long to wait.

    speech   ####_######______###__________________________________________
    silence             96   |  96           320       (patience)      1200 ms
    decision            LOOK |  LOOK         |         |               |
                             CONTINUE        END: sounds finished, words known
    asked          words, score: dropped     |         END: sounds unfinished; the less, the later
                   |                         |                         END: whatever is known
    model said     finished ─────────────────┘ .5 .4 .3 .2 .1 0 (score)

LOOK, once a silence, at turn_look_ms: have what was said so far recognised, and ask the turn model how it sounds. What
comes back is given to `understood` and `scored` with the number of the look; if speech has gone on, it is out of date
and changes nothing. END comes once silence has lasted for the patience *and* the words are there, or at
turn_max_silence_ms. A recogniser that knows the words only at the end is not waited for. The patience:

- the model's score is at least turn_threshold: turn_min_silence_ms;
- less: from there up to turn_max_silence_ms at score 0, in a straight line;
- no model, or it has not answered yet: half as long again as this speaker's usual pause, between those two. Pauses are
  learned where speech went on, be it in the turn or, after an END that came too soon, right behind it;
- words that ask for more ("and", "um", a comma at the end) bring any of these half the way to the maximum. A full stop
  proves nothing: recognisers set one behind everything.

Words that are known to be none (a cough, a door) make no turn: NOTHING instead of END.
"""

from __future__ import annotations

from enum import Enum

from opentalking.config import Settings
from opentalking.turns.vad import HOP_MS, Activity, Event
from opentalking.turns.words import words

_FIRST_PAUSE_MS = 400.0  # taken for usual until a speaker has paused
_USUAL = 1.5  # a pause this many times the usual one is an end
_LEARNING = 0.25  # weight of the latest pause
_WAITING_FOR_MORE = frozenset(  # none that ends a question ("where are you from"), or an answer ("I think so")
    (
        "a",
        "an",
        "and",
        "because",
        "but",
        "er",
        "erm",
        "if",
        "my",
        "or",
        "our",
        "than",
        "the",
        "their",
        "uh",
        "um",
        "your",
    )
)
_COMMAS = (",", ";", ":", "-", "–", "—", "…", "...", "，", "、", "；", "：")


class Decision(Enum):
    WAIT = "wait"
    LOOK = "look"
    CONTINUE = "continue"  # speech goes on after a look: its words are no longer all
    END = "end"
    NOTHING = "nothing"  # over, and nothing was said


class Endpointing:
    """One stream's turns, one after another. Each call returns what is to be done now."""

    def __init__(self, settings: Settings, scoring: bool) -> None:
        """`scoring`: a turn model will be asked at every LOOK; without, silence alone decides."""
        self._look_ms = settings.turn_look_ms
        self._max_ms = max(settings.turn_max_silence_ms, settings.turn_look_ms)
        self._min_ms = min(settings.turn_min_silence_ms, self._max_ms)
        self._threshold = settings.turn_threshold
        self._scoring = scoring
        self._usual_ms = _FIRST_PAUSE_MS
        self._silence_ms = 0
        self._coming = False  # something voiced that is not yet speech
        self._open = False  # a turn has begun and not ended
        self._ended = False  # the turn before held words
        self._looked = False  # in this silence
        self.look = 0  # the number of the latest LOOK
        self._text: str | None = None
        self._score: float | None = None
        self.reads = True  # whether the recogniser tells the words of a look; if not, they are not waited for

    @property
    def under_way(self) -> bool:
        """Somebody's turn has begun and not ended."""
        return self._open

    @property
    def patience_ms(self) -> int:
        """Silence that ends the turn, by what is known now."""
        if self._scoring and self._score is not None:
            doubt = max(0.0, 1 - self._score / self._threshold) if self._score < self._threshold else 0.0
            patience = self._min_ms + doubt * (self._max_ms - self._min_ms)
        else:
            patience = min(max(_USUAL * self._usual_ms, self._min_ms), self._max_ms)
        if self._text is not None and asks_for_more(self._text):
            patience += (self._max_ms - patience) / 2
        return round(patience)

    def hear(self, activity: Activity) -> Decision:
        """The next hop of the stream."""
        before, self._silence_ms = self._silence_ms, activity.silence_ms
        self._coming = activity.voiced and not activity.speaking
        pause_ms = before  # STARTED comes when its speech is some hops old
        if activity.event is Event.STARTED:
            pause_ms = max(0, before + HOP_MS - activity.speech_ms)
            if not self._open:
                self._begin(pause_ms)
        if not self._open:
            return Decision.WAIT
        if activity.silence_ms < before:
            return self._goes_on(pause_ms)
        if not self._looked and self._silence_ms >= self._look_ms:
            self._looked = True
            self.look += 1
            if self._silence_ms < self._max_ms:
                return Decision.LOOK
        return self._decide()

    def understood(self, look: int, text: str) -> Decision:
        """All the words of the turn up to that look."""
        if look == self.look and self._looked:
            self._text = text
        return self._decide()

    def scored(self, look: int, score: float) -> Decision:
        """How finished the turn sounded at that look, 0..1."""
        if look == self.look and self._looked:
            self._score = score
        return self._decide()

    def drop(self) -> None:
        """Forget the turn that is under way: it was none, or somebody else has ended it."""
        self._open = False
        self._forget()

    def _begin(self, pause_ms: int) -> None:
        self._open = True
        self._forget()
        if self._ended and pause_ms < self._max_ms:  # too soon: this is the rest of it
            self._learn(pause_ms)

    def _goes_on(self, pause_ms: int) -> Decision:
        looked = self._looked
        self._forget()
        if not looked:
            return Decision.WAIT
        self._learn(pause_ms)
        return Decision.CONTINUE

    def _forget(self) -> None:
        self._looked, self._text, self._score = False, None, None

    def _learn(self, pause_ms: int) -> None:
        self._usual_ms += _LEARNING * (pause_ms - self._usual_ms)

    def _decide(self) -> Decision:
        if not self._open or not self._looked:
            return Decision.WAIT
        noise = self._text is not None and not words(self._text)
        if self._silence_ms < self._max_ms:
            patience_ms = self._min_ms if noise else self.patience_ms
            unread = self._text is None and self.reads
            if self._coming or unread or self._silence_ms < patience_ms:
                return Decision.WAIT
        self.drop()
        self._ended = not noise
        return Decision.NOTHING if noise else Decision.END


def asks_for_more(text: str) -> bool:
    """Do these words want others behind them?"""
    said = words(text)
    return bool(said) and (text.rstrip().endswith(_COMMAS) or said[-1] in _WAITING_FOR_MORE)
