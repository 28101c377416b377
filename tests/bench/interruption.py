"""How soon an interruption silences and stills the face, at a receiver that sees and hears it, others speaking on.

    POST /interrupt sent
    │
    0 ──── last packet of the old tone ──── first picture that is the idle face alone
           interrupt_last_sample            interrupt_idle_frame

Both as they arrive, by the clock of the client, HTTP and loopback included. A packet of the old tone that comes after
silence, or in a later turn, is stale: interrupt_stale_samples counts its samples.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from ..support.client import Client
from .measures import percentile
from .receiver import LightReceiver, amplitude

_PITCHES = (500, 700, 900, 1100, 1300)  # of turn after turn: a stale sample is told from a new one
_HEARD = 4000.0  # half of the tone's amplitude; Opus smears a tone's end by 6.5 ms into the next packet
_IDLE_LOUDNESS = 0.08  # of a mirror picture; the frame between speech and idle face shows about half


async def interruption(watched: Client, sessions: int, cuts: int) -> dict[str, Any]:
    """`cuts` interruptions of one session at random phases, among `sessions` in all. Its receiver watches."""
    receiver = watched.receiver
    assert isinstance(receiver, LightReceiver)
    await receiver.watch()
    last, idle, stale = [], [], 0
    for number in range(cuts):
        sent_at, pitch = await _cut(watched, receiver, _PITCHES[number % len(_PITCHES)])
        sounded = [(at, amplitude(pcm, pitch) > _HEARD) for at, pcm in receiver.sounds]
        ends = next(n for n, (_, old) in enumerate(sounded) if old)
        while ends + 1 < len(sounded) and (sounded[ends + 1][1] or sounded[ends + 1][0] < sent_at):
            ends += 1
        stale += 960 * sum(old for _, old in sounded[ends + 1 :])
        last.append(max(0.0, (sounded[ends][0] - sent_at) * 1000))
        idle.append((next(at for at, shown in receiver.sights if _is_idle_after(at, shown, sent_at)) - sent_at) * 1000)
    return {
        f"interrupt_last_sample_p50_ms_{sessions}": percentile(last, 50),
        f"interrupt_last_sample_p99_ms_{sessions}": percentile(last, 99),
        f"interrupt_idle_frame_p50_ms_{sessions}": percentile(idle, 50),
        f"interrupt_idle_frame_p99_ms_{sessions}": percentile(idle, 99),
        f"interrupt_cuts_{sessions}": len(last),
        "interrupt_stale_samples": stale,
    }


async def _cut(watched: Client, receiver: LightReceiver, pitch: int) -> tuple[float, int]:
    """Speak, interrupt in mid-tone, wait for the idle face and some more. Returns when the request was sent."""
    receiver.sounds.clear()
    receiver.sights.clear()
    turn = await watched.call("POST", "/speak", {"text": f"[{pitch}] This is a long and even tone. " * 4})
    await watched.events.wait("speech.media_started", lambda data: data["generation"] == turn["generation"])
    await asyncio.sleep(random.uniform(0.25, 0.6))
    sent_at = time.time()
    await watched.call("POST", "/interrupt")
    await receiver.until(lambda: any(_is_idle_after(at, shown, sent_at) for at, shown in receiver.sights))
    after = len(receiver.sounds)
    await receiver.until(lambda: len(receiver.sounds) >= after + 10)  # time for what is stale to be heard
    return sent_at, pitch


def _is_idle_after(at: float, shown: Any, sent_at: float) -> bool:
    return at > sent_at and shown.loudness < _IDLE_LOUDNESS and shown.hertz is None
