"""`python -m tests.bench.leaks [--connects 1000]`: clients that come and go, well and badly, and what they leave.

A node of one worker each is visited by four clients at a time, in rounds. Visits are dealt from DECK (shuffled,
seeded), and one of each round makes an avatar and deletes it. After every round all sessions are over; then each
process's memory, descriptors, threads and tasks are written down, with the node's shared memory and keys in Redis. The
first round is the warm-up that the others are compared with.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import numpy as np

from .. import portraits
from ..support.footprint import Footprint, Occupied, at_rest, footprint
from ..support.light_client import LightClient, follow_and_vanish
from ..support.llm_server import LLMServer
from ..support.losses import Silence, mute
from ..support.node import TONE, Node

AT_ONCE = 4
SETTLE_S = 120  # a client that vanished is missed after 30 s
SETTINGS = {
    "OPENTALKING_MAX_SESSIONS": "64",
    "OPENTALKING_PEER_GRACE_S": "5",
    "OPENTALKING_SESSION_IDLE_TIMEOUT_S": "10",
    "OPENTALKING_LOG_LEVEL": "WARNING",
}
VOICE = {"OPENTALKING_TTS_PLUGINS": f"tone={TONE}", "OPENTALKING_TTS_PROVIDER": "tone"}
PROMPT = {"prompt": "Say something."}

Visit = Callable[[LightClient], Awaitable[None]]


async def speaks(client: LightClient) -> None:
    """Until something of an answer was handed to RTP."""
    turn = await client.call("POST", "/chat", PROMPT)
    await client.events.wait("speech.media_started", lambda data: data["generation"] == turn["generation"])


async def polite(client: LightClient) -> None:
    await client.connect()


async def deleted_mid_speech(client: LightClient) -> None:
    await client.connect()
    await speaks(client)
    await client.call("DELETE", "")


async def reloaded_mid_speech(client: LightClient) -> None:
    """The old connection's close may be heard before the new offer or after it."""
    await client.connect()
    await speaks(client)
    old = client.forget()
    before = random.random() < 0.5
    if before:
        await old.close()
    await client.connect()
    await old.close()
    await speaks(client)


async def closed_without_a_delete(client: LightClient) -> None:
    await client.connect()
    await speaks(client)
    await client.receiver.close()


async def gone(client: LightClient) -> None:
    """As when the power fails: the sockets are closed, and nothing was said."""
    await client.connect()
    await speaks(client)
    mute(client.receiver)
    await client.receiver.close()


async def frozen(client: LightClient) -> None:
    """The sockets stay, nobody reads them."""
    await client.connect()
    Silence(client.receiver).__enter__()


async def never_followed_up(client: LightClient) -> None:
    await client.offer()
    await client.receiver.close()


async def followers_vanish(client: LightClient) -> None:
    await client.connect()
    await client.call("POST", "/chat", PROMPT)
    await asyncio.gather(*(follow_and_vanish(client.base, client.session_id) for _ in range(3)))


async def own_avatar(client: LightClient) -> None:
    """Of a photo, which is deleted while it speaks."""
    form = aiohttp.FormData({"name": "Ada", "consent": "true"})
    form.add_field("image", portraits.jpeg(portraits.presenter()), filename="ada.jpg")
    async with client.http.post(client.base + "/avatars/custom", data=form) as response:
        response.raise_for_status()
        avatar_id = (await response.json())["id"]
    await client.create(avatar_id=avatar_id)
    await client.connect()
    await speaks(client)
    await client.request("DELETE", f"/avatars/{avatar_id}")


LEFT_TO_THEMSELVES = (gone, frozen, closed_without_a_delete, never_followed_up)  # the server has to notice
DECK: tuple[Visit, ...] = (
    *(polite,) * 6,
    *(deleted_mid_speech,) * 3,
    *(reloaded_mid_speech,) * 3,
    *(closed_without_a_delete,) * 2,
    *(never_followed_up,) * 2,
    *(followers_vanish,) * 2,
    gone,
    frozen,
)


@dataclass
class Run:
    """What was seen after each round; the first is the warm-up."""

    visits_a_round: int
    seen: list[Footprint] = field(default_factory=list)
    seconds: float = 0.0
    connects: int = 0


async def visit_in_rounds(node: Node, rounds: int, visits: int, seed: int = 1) -> Run:
    """`rounds` rounds of `visits` visits after a warm-up of one more."""
    run, started = Run(visits), time.monotonic()
    random.seed(seed)
    for number in range(rounds + 1):
        run.connects += await _round(node, visits)
        before = run.seen[0] if run.seen else None
        run.seen.append(await settled(node, before))
        print(f"round {number} of {rounds}: {_line(run.seen[-1])}", flush=True)
    run.seconds = time.monotonic() - started
    return run


async def _round(node: Node, visits: int) -> int:
    """Returns the number of offers that were made."""
    deck = [DECK[n % len(DECK)] for n in range(visits - 1)] + [own_avatar]
    random.shuffle(deck)
    deck.sort(key=lambda visit: visit not in (gone, frozen))  # missed after 30 s only, so they come first
    places = asyncio.Semaphore(AT_ONCE)

    async def come(visit: Visit) -> int:
        async with LightClient(node.base) as client:
            async with places:
                if visit is not own_avatar:
                    await client.create()
                await visit(client)
            if visit in LEFT_TO_THEMSELVES:
                await client.events.wait("session.terminated")
        return client.connects

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(come(visit)) for visit in deck]
    return sum(task.result() for task in tasks)


async def settled(node: Node, before: Footprint | None) -> Footprint:
    """The footprint once everybody has left and, given one from before, the counts are no higher than they were."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        found = await footprint(node)
        ghosts = any(process.ghosts for process in found.processes.values())
        if await at_rest(node) and not ghosts and (before is None or not counts_above(before, found)):
            break
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(1)
    return found


# What may still be more than after the warm-up: pools hold as many as were ever in use at once.
ALLOWED = {"descriptors": 0, "tasks": 0, "ghosts": 0, "threads": 4, "connections": 5}


def counts_above(before: Footprint, after: Footprint) -> list[str]:
    """What there is more of than before: whatever is listed is a leak."""
    leaks = []
    for role, was in before.processes.items():
        for what, allowed in ALLOWED.items():
            found, known = getattr(after.processes[role], what), 0 if what == "ghosts" else getattr(was, what)
            if found > known + allowed and (role, what) != ("redis", "connections"):  # its clients' are counted there
                leaks.append(f"{role}: {found} {what}, {known} after the warm-up")
    for what in ("segments", "lasting_keys"):
        if (found := getattr(after, what)) > (known := getattr(before, what)):
            leaks.append(f"{found} {what}, {known} after the warm-up")
    return leaks


def growth_kb(run: Run, role: str, what: str = "anonymous_kb") -> float:
    """Memory per 100 visits: the mean of the last third of the rounds against that of the third before it."""
    values = [getattr(found.processes[role], what) for found in run.seen[1:]]
    third = max(1, len(values) // 3)
    rise = float(np.mean(values[-third:]) - np.mean(values[-2 * third : -third]))
    return rise / (third * run.visits_a_round) * 100


def _line(found: Footprint) -> str:
    shown = [
        f"{role} {p.rss_kb // 1024} MB {p.descriptors}+{p.connections} fds {p.threads} threads {p.tasks} tasks"
        for role, p in found.processes.items()
    ]
    return "; ".join([*shown, f"{found.segments} segments, {found.lasting_keys} of {found.keys} keys last"])


def table(run: Run) -> str:
    """Markdown: after the warm-up, in the middle, at the end."""
    first, middle, last = run.seen[0], run.seen[len(run.seen) // 2], run.seen[-1]
    rows = [
        "| process | RSS, MB | own memory, MB | growth, kB per 100 | descriptors | connections | threads | tasks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for role in first.processes:
        seen = [found.processes[role] for found in (first, middle, last)]

        cells = [_course(seen, what, 1024) for what in ("rss_kb", "anonymous_kb")] + [f"{growth_kb(run, role):+.0f}"]
        cells += [_course(seen, what) for what in ("descriptors", "connections", "threads", "tasks")]
        rows.append(f"| {role} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _course(seen: list[Occupied], what: str, unit: int = 1) -> str:
    return " → ".join(str(round(getattr(one, what) / unit)) for one in seen)


async def run(visits: int, rounds: int, seed: int) -> int:
    async with LLMServer() as llm, Node(None, **SETTINGS, **VOICE, OPENTALKING_LLM_BASE_URL=llm.base_url) as node:
        result = await visit_in_rounds(node, rounds, visits // rounds, seed)
        leaks = counts_above(result.seen[0], result.seen[-1])
        raised = [f"{log.name}:\n{text[at - 200 : at + 2000]}" for log in node.logs()
                  if (at := (text := log.read_text()).find("Traceback")) >= 0]  # fmt: skip
    rounds, seconds = len(result.seen) - 1, result.seconds
    print(
        f"{rounds} rounds of {result.visits_a_round} visits after one to warm up, {result.connects} connects,", end=" "
    )
    print(f"{seconds:.0f} s\n{table(result)}")
    print("\n".join(leaks or ["every count is back where it was after the warm-up"]))
    print("\n".join(raised or ["no traceback in any log"]))
    return 1 if leaks or raised else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.leaks", description=__doc__)
    parser.add_argument("--connects", type=int, default=1000, help="visits in all, the warm-up not counted")
    parser.add_argument("--rounds", type=int, default=10, help="looked at after each of so many rounds")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # the stand-in model's, whose clients hang up
    return asyncio.run(run(options.connects, options.rounds, options.seed))


if __name__ == "__main__":
    sys.exit(main())
