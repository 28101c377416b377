"""How soon a spoken question is answered, and how soon the avatar pauses for who speaks over it: `opentalking bench
--spoken`, or `python -m tests.bench.spoken [--turns 10] [--pauses 10]`.

    client    ████████████████▏ last sample that is no silence is handed to RTP
              said            │ endpointing · words · language model · voice · face │
    client                    │◄──────────── eos_to_first_frame ───────────────────►│ first picture of speech arrives

A whole node with its offline defaults: embedded language model, packaged voice, recogniser and face. The client shares
the machine with it, sends its microphone by WebRTC, and counts pictures by their headers; it knows the first of the
answer by the RTP time stamp that the server tells. Sentences are said by the packaged voice, each another one, with
pauses of chance between the answer and the next. The stages are the server's, on the client's clock: same machine.

An utterance that was answered before it was over counts in `eos_turns_cut_off`, one that was not answered within 15 s
in `eos_turns_unanswered`; neither has a latency.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opentalking.config import Settings

from ..support.client import Client, Receiver
from ..support.node import Node
from ..support.speaker import MicrophoneTrack, Speaker
from ..support.spoken import Voice, cough
from . import wer
from .measures import LONG_TEXT, percentile
from .receiver import LightReceiver

CACHE = Path("~/.cache/opentalking-bench").expanduser()
ANSWERED_S = 15.0
STAGES = (  # of speech.timing
    "vad_decision_ms",
    "stt_final_ms",
    "turn_committed_ms",
    "llm_first_token_ms",
    "first_fragment_ms",
    "tts_first_pcm_ms",
    "first_av_ms",
    "first_rtp_ms",
)
SENTENCES = (
    "What is the weather like today in the south of France?",
    "How far is the moon from the earth, and how long would it take to walk there?",
    "Please tell me a short story about a dog.",
    "Which river is the longest in the world?",
    "I would like to know how bread is made.",
    "Can you recommend a good book for the summer?",
    "I have tomatoes and eggs at home, so what should I cook for dinner tonight?",
    "Why is the sky blue in the daytime?",
    "Tell me something about the history of Rome that most people do not know.",
    "How many people live in New York, and how many of them were born there?",
    "My sister wants to learn how to swim before we go to the sea.",
    "Where do the birds go in the winter?",
    "Is it better to travel by train or by car?",
    "Who wrote the first computer program?",
    "I am looking for a present for my mother.",
    "What is the capital of Australia?",
    "How do I get to the station from here?",
    "Explain to me how a telephone works as if I were five years old.",
    "Do you think that it will rain tomorrow afternoon?",
    "When was the first airplane built, and by whom?",
    "I forgot to water the plants this morning, and it is very hot.",
    "What is your favourite colour, and why?",
    "How long does it take to boil an egg?",
    "Please help me to plan a trip to the mountains with two small children.",
    "Which animals sleep during the day?",
    "Can you count from one to five for me?",
    "What is the difference between a lake and a pond?",
    "I want to learn a new language this year.",
    "How old is the oldest tree on earth?",
    "What do you call a group of lions?",
    "Tell me how to fix a flat tire on a bicycle.",
    "Is there any water on the planet Mars, or was there some in the past?",
)


class LightSpeaker(Speaker):
    """A user with a microphone whose receiver counts."""

    def make_receiver(self, keep_pictures: bool) -> Receiver:
        return LightReceiver(microphone=MicrophoneTrack(self.microphone))

    async def connect(self) -> None:
        await super().connect()
        assert isinstance(self.receiver, LightReceiver)
        self.receiver.stop_reading()


@contextmanager
def cached() -> Iterator[Settings]:
    """Settings of nobody in particular, with the models that the bench's nodes have prepared."""
    with tempfile.TemporaryDirectory() as folder:
        CACHE.mkdir(parents=True, exist_ok=True)
        (Path(folder) / "cache").symlink_to(CACHE)
        yield Settings(run_dir=folder)


async def clips(count: int) -> list[NDArray[np.int16]]:
    """So many spoken sentences, int16 at 16 kHz."""
    with cached() as settings:
        voice = Voice(settings)
        said = [await voice.say(SENTENCES[number % len(SENTENCES)]) for number in range(count)]
        await voice.close()
    return said


async def recognising(client: Client) -> None:
    """Until the node's recogniser is loaded, which is after it says that it is ready."""
    async with asyncio.timeout(120):
        while True:
            health = await client.request("GET", "/health", allow=(200, 503))
            if health["ready"] and any(one["available"] for one in health["stt"].values()):
                return
            await asyncio.sleep(0.2)


def word_errors() -> dict[str, Any]:
    """Of the offline recogniser, on recordings of people; `wer_offline` is a share of all words."""
    with cached() as settings:
        found = wer.measure(settings)
    return {"wer_offline": round(found["wer_percent"] / 100, 4), "wer_words": found["words"]}


@asynccontextmanager
async def offline_speaker(node: Node) -> AsyncIterator[LightSpeaker]:
    async with LightSpeaker(node.base) as client:
        await recognising(client)
        await client.create()
        await client.connect()
        yield client


async def _answered(client: LightSpeaker, pcm: NDArray[np.int16]) -> tuple[float, float, dict[str, Any]] | str:
    """Say it. When it ended, when the first picture of the answer arrived, the answer's stages; or what was wrong."""
    receiver, before = client.receiver, len(client.events.seen)
    assert isinstance(receiver, LightReceiver)
    _, ended_at = await client.say(pcm)
    if "speech.started" in client.events.names()[before:]:
        return "cut_off"
    try:
        number = await client.events.find("speech.media_started", after=before, timeout_s=ANSWERED_S)
    except TimeoutError:
        return "unanswered"
    started = client.events.seen[number][2]
    stamp = started["video_timestamp"]
    await receiver.until(lambda: stamp in receiver.stamps)
    arrived_at = receiver.arrivals[receiver.stamps.index(stamp)]
    timing = await client.events.wait("speech.timing", lambda data: data["generation"] == started["generation"])
    return ended_at, arrived_at, timing


async def _hush(client: LightSpeaker) -> None:
    """Stop the answer, and leave a moment between it and what is said next."""
    await client.call("POST", "/interrupt")
    await asyncio.sleep(random.uniform(0.6, 1.2))
    begun = [data["generation"] for _, name, data in client.events.seen if name == "speech.started"]
    if begun:
        await client.events.wait("speech.ended", lambda data: data["generation"] == begun[-1])


async def latency(node: Node, turns: int) -> dict[str, Any]:
    """End of speech to the first picture of the answer, of so many spoken turns; the first one warms up."""
    said = await clips(turns + 1)
    taken: list[float] = []
    stages: dict[str, list[float]] = defaultdict(list)
    wrong = {"cut_off": 0, "unanswered": 0}
    async with offline_speaker(node) as client:
        for number, pcm in enumerate(said):
            found = await _answered(client, pcm)
            await _hush(client)
            if isinstance(found, str):
                wrong[found] += 1
            elif number:
                ended_at, arrived_at, timing = found
                taken.append((arrived_at - ended_at) * 1000)
                for stage in STAGES:
                    if stage in timing:
                        stages[stage].append(timing[stage] + (timing["speech_ended_at"] - ended_at) * 1000)
    figures: dict[str, Any] = {"eos_turns": len(taken), **{f"eos_turns_{what}": count for what, count in wrong.items()}}
    if not taken:
        raise RuntimeError(f"of {len(said)} spoken turns, none was measured: {wrong}")
    figures |= {f"eos_to_{stage.removesuffix('_ms')}_p50_ms": percentile(at, 50) for stage, at in stages.items()}
    return figures | {f"eos_to_first_frame_p{share}_ms": percentile(taken, share) for share in (50, 95)}


async def pauses(node: Node, count: int) -> dict[str, Any]:
    """A cough over the avatar, so many times: the detector's decision to the last sample before the pause. Coughs that
    it does not notice, or that are taken for words, are counted."""
    decided, heard, unnoticed, cut = [], [], 0, 0
    async with offline_speaker(node) as client:
        turn = 0
        for number in range(count):
            if _is_over(client, turn):
                turn = await _speak_on(client)
            await asyncio.sleep(random.uniform(0.2, 0.6))
            before = len(client.events.seen)
            started_at, _ = await client.say(cough(seed=number % 4))
            try:
                paused = client.events.seen[await client.events.find("speech.paused", after=before, timeout_s=3)][2]
            except TimeoutError:
                unnoticed += not _is_over(client, turn)  # else nobody spoke whom it could have stopped
                continue
            decided.append((paused["at"] - paused["decided_at"]) * 1000)
            heard.append((paused["at"] - started_at) * 1000)
            over = await client.events.find(("speech.resumed", "speech.ended"), after=before)
            cut += client.events.seen[over][1] != "speech.resumed"
            await client.events.find("listening", lambda data: data["state"] == "listening", after=before)
    if not decided:
        raise RuntimeError(f"of {count} coughs, none was noticed")
    return {
        "barge_in_pause_p50_ms": percentile(decided, 50),
        "barge_in_pause_p99_ms": percentile(decided, 99),
        "barge_in_speech_to_pause_p50_ms": percentile(heard, 50),
        "barge_in_pauses": len(decided),
        "barge_in_coughs_unnoticed": unnoticed,
        "barge_in_coughs_cut": cut,
    }


async def _speak_on(client: LightSpeaker) -> int:
    generation = int((await client.call("POST", "/speak", {"text": LONG_TEXT}))["generation"])
    await client.events.wait("speech.media_started", lambda data: data["generation"] == generation)
    return generation


def _is_over(client: LightSpeaker, generation: int) -> bool:
    """Whether that turn has ended; no turn has the number 0."""
    ended = (data["generation"] for _, name, data in client.events.seen if name == "speech.ended")
    return generation == 0 or generation in ended


async def measure(turns: int, coughs: int) -> dict[str, Any]:
    async with Node(cache=CACHE, OPENTALKING_LOG_LEVEL="WARNING") as node:
        figures = await latency(node, turns)
        return figures | await pauses(node, coughs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--pauses", type=int, default=10)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.turns, options.pauses)), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
