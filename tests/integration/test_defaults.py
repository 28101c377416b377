"""Out of the box: the embedded model answers, Piper says it, and the mouth that is seen moves with what is heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from opentalking.avatars.landmarks import FaceFinder, mouth_opening
from tests.integration.conftest import running
from tests.support.client import Client, Receiver
from tests.support.node import Node

pytestmark = pytest.mark.integration

TEXT = (
    "Mama may open a big map of Bombay. My boat bobs up and down by the pier all day. "
    "A warm summer wind blows over the open water."
)
STEP_S = 0.02
LONGEST_LAG_S = 0.4


@pytest.fixture(scope="module")
def defaults(models: Path) -> Iterator[Node]:
    yield from running(Node(cache=models))


@pytest.fixture
async def seeing(defaults: Node) -> AsyncIterator[Client]:
    async with Client(defaults.base, keep_pictures=True) as client:
        await client.create()
        await client.connect()
        await client.receiver.until(lambda: len(client.receiver.reports) == 2)
        yield client


def openings(receiver: Receiver, start: int, end: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sender's time and mouth opening of the received pictures start … end."""
    finder = FaceFinder()
    times, values = [], []
    for _, pts, picture in receiver.pictures[start:end]:
        assert picture is not None
        bgr = cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420)
        box = finder.detect(bgr)
        assert box is not None
        times.append(receiver.clock("video", pts))
        values.append(mouth_opening(finder.landmarks(bgr, box)))
    return np.array(times), np.array(values)


def loudness(receiver: Receiver) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sender's time (middle of the packet) and level of the received sound."""
    times = [
        receiver.clock("audio", pts) + len(pcm) / 96_000
        for pts, (_, pcm) in zip(receiver.sound_pts, receiver.sound, strict=False)
    ]
    return np.array(times), np.array(
        [float(np.sqrt((pcm.astype(np.float64) ** 2).mean())) for _, pcm in receiver.sound]
    )


def lag_s(
    mouth: tuple[NDArray[np.float64], NDArray[np.float64]], sound: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> float:
    """How much later than the sound the mouth moves, where they agree best."""
    grid = np.arange(mouth[0][0] + LONGEST_LAG_S, mouth[0][-1] - LONGEST_LAG_S, STEP_S)
    loud = smooth(np.interp(grid, *sound))
    lags = np.arange(-LONGEST_LAG_S, LONGEST_LAG_S + STEP_S / 2, STEP_S)
    match = [np.corrcoef(loud, smooth(np.interp(grid + lag, *mouth)))[0, 1] for lag in lags]
    assert max(match) > 0.3
    return float(lags[int(np.argmax(match))])


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.convolve(values, np.hanning(9) / np.hanning(9).sum(), "same")


async def test_a_question_is_answered_aloud(seeing: Client) -> None:
    await seeing.call("POST", "/chat", {"prompt": "Say hello to me."})
    message = await seeing.events.wait("assistant.message")
    ended = await seeing.events.wait("speech.ended")
    assert ended["text"] == message["text"] != ""
    await seeing.receiver.hear_more(100)
    heard = seeing.receiver.samples().astype(np.int32)
    assert np.percentile(np.abs(heard), 90) > 300


async def test_the_mouth_moves_with_the_sound_and_rests_without(seeing: Client) -> None:
    receiver = seeing.receiver
    await receiver.until(lambda: len(receiver.pictures) >= 50)
    await seeing.call("POST", "/speak", {"text": TEXT})
    await seeing.events.wait("speech.media_started")
    first = len(receiver.pictures)
    await seeing.events.wait("speech.ended")
    last = len(receiver.pictures)
    _, idle = openings(receiver, 0, first - 10)
    times, speaking = openings(receiver, first, last)
    assert np.ptp(np.percentile(speaking, [5, 95])) > 3 * np.ptp(np.percentile(idle, [5, 95]))
    assert abs(lag_s((times, speaking), loudness(receiver))) <= 0.12
