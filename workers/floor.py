"""Who has the floor when both speak: carries out what `BargeIn` rules about one person's speech over the avatar.

free ──a turn is in progress──> paused ──words that count──> cut: the floor is the person's
 ^                                │                           ^
 └── the turn is over ── passed <─┴── none: the avatar goes on│
                            └───────── words, after all ──────┘
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from enum import Enum

from opentalking.config import Settings
from opentalking.store import StoreError
from opentalking.turns.barge_in import Act, BargeIn, Evidence, Reason
from opentalking.turns.vad import Activity
from opentalking.types import MODEL_RATE
from workers.conversation import ConversationSession

log = logging.getLogger(__name__)


_FOREVER_MS = 1_000_000


class Standing(Enum):
    FREE = "free"  # nobody else speaks
    PAUSED = "paused"  # the avatar holds still until it is clear what was meant
    PASSED = "passed"  # it went on
    CUT = "cut"


class Floor:
    """One person's speech against the session's turns; `over` when that speech is."""

    def __init__(self, config: Settings, conversation: ConversationSession) -> None:
        self._enabled = config.barge_in
        self._answer_ms = config.barge_in_answer_ms
        self._rules = BargeIn(config)
        self._conversation = conversation
        self.standing = Standing.FREE
        self._generation = 0  # of the turn it is about
        self._paused_at = 0  # position in the microphone's stream
        self._spoken = ""
        self.cut_wanted = False  # ruled, and not begun
        self.dismissed = False  # all that was said is known, and did not count
        self._asked = False  # for the words, while the speech lasts

    @property
    def is_contested(self) -> bool:
        """Whether words may yet turn out not to be meant for anybody."""
        return self.standing in (Standing.PAUSED, Standing.PASSED)

    def hear(self, activity: Activity, text: str | None, complete: bool) -> bool:
        """The next hop of the person's speech, and what is known of its words. True if they are wanted now."""
        turn = self._conversation.turn_in_progress
        if self.standing is Standing.CUT:
            return False
        if turn != self._generation:
            self.standing, self._generation = Standing.FREE, turn
        if turn == 0:
            return False
        if not self._enabled:
            self.standing = Standing.PASSED  # the avatar does not listen while it speaks
            return False
        evidence = self._evidence(activity, text, complete)
        if self.standing is Standing.FREE:
            if self._rules.decide(evidence).act is Act.PAUSE:
                self._pause(activity)
            return False
        self.weigh(activity, text, complete)
        if self.standing is not Standing.PAUSED or self._asked or not self._rules.wants_words(evidence):
            return False
        self._asked = True
        return True

    def weigh(self, activity: Activity, text: str | None, complete: bool) -> None:
        """Rule by what is known now; the avatar goes on at once, and is cut by `cut`."""
        if self.is_contested and self._enabled:
            self._rule(self._evidence(activity, text, complete))

    def _rule(self, evidence: Evidence) -> None:
        ruling = self._rules.decide(evidence)
        answered = ruling.reason is Reason.BACKCHANNEL and self._is_answer()
        if ruling.act is Act.CUT or answered:
            self.standing, self.cut_wanted = Standing.CUT, True
        elif ruling.act is Act.RESUME:
            self._go_on(ruling.reason)
            self.dismissed = evidence.complete and not evidence.speaking

    def _is_answer(self) -> bool:
        """Whether "yes" means yes: the avatar has all but asked."""
        left_ms = self._conversation.left_ms()
        return left_ms is not None and left_ms < self._answer_ms

    def settle(self, activity: Activity, text: str) -> None:
        """The speech is over, and these were all its words."""
        if self.is_contested and self._enabled:
            evidence = self._evidence(activity, text, complete=True)
            self._rule(replace(evidence, speaking=False, silence_ms=_FOREVER_MS))
        if self.standing is Standing.PAUSED:
            self._go_on(Reason.COUGH)

    def give_up(self) -> None:
        """Its words take too long to be known: the avatar goes on, and may still be cut by them."""
        if self.standing is Standing.PAUSED:
            self._go_on(Reason.SILENCE)

    async def cut(self) -> None:
        """Stop the avatar for good, if that was ruled and is not done yet."""
        wanted, self.cut_wanted = self.cut_wanted, False
        if wanted and self._generation == self._conversation.turn_in_progress:
            try:
                await self._conversation.cut("barge_in")
            except StoreError as error:
                log.warning("%s: an interruption is lost: %s", self._conversation.session_id, error)
                self._conversation.resume("error")

    def over(self) -> None:
        """Nothing more is known of this speech."""
        self.give_up()
        self.standing, self._generation, self._asked, self.dismissed = Standing.FREE, 0, False, False

    def _pause(self, activity: Activity) -> None:
        self.standing, self._paused_at, self._asked = Standing.PAUSED, activity.position, False
        self._spoken = self._conversation.spoken_lately()
        self._conversation.pause(self._generation, time.time())

    def _go_on(self, reason: Reason | None) -> None:
        if self.standing is Standing.PAUSED:
            self._conversation.resume(reason.value if reason else "")
        self.standing = Standing.PASSED

    def _evidence(self, activity: Activity, text: str | None, complete: bool) -> Evidence:
        paused_ms = None
        if self.standing is Standing.PAUSED:
            paused_ms = (activity.position - self._paused_at) * 1000 // MODEL_RATE
        elif self.standing is Standing.PASSED:
            paused_ms = 0  # only words can change it
        return Evidence(
            speaking=activity.speaking,
            paused_ms=paused_ms,
            speech_ms=activity.speech_ms,
            silence_ms=activity.silence_ms,
            text=text,
            complete=complete,
            spoken=self._spoken,
        )
