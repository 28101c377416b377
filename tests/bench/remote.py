"""What a face that another machine draws costs: `python -m tests.bench.remote [--rtt-ms 0 20 60] [--slots 250]`.

The synth-server runs as a process of its own with the packaged portrait; between it and the client is a relay that
delays both directions by half of the round trip. The same turn is drawn by the local model first. Two ways of asking:

    ours      sound goes as soon as the server is idle, several messages at once, pictures come when they are due
    strict    as the original does: messages of --slices pictures, one request and one answer at a time

Figures are for a turn whose sound is there at once: until its first picture, ms a frame over all of it, and ms of CPU
a frame in this process: what the machine pays that has the session (the relay's part in it, if there is one).
"""

from __future__ import annotations

import argparse
import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import numpy as np

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.adapter import ModelAdapter
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.remote.adapter import RemoteAdapter, RemoteAvatar
from opentalking.models.remote.wire import Opening
from opentalking.types import MODEL_RATE, AudioChunk, Int16, i420_shape
from tests.support.late import LateDriver
from tests.support.synth_process import SynthProcess

TURNS = 5
Figures: TypeAlias = tuple[float, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rtt-ms", type=float, nargs="+", default=[0.0, 20.0, 60.0])
    parser.add_argument("--slots", type=int, default=250, help="length of a turn, 40 ms each")
    parser.add_argument("--slices", type=int, default=28, help="pictures of a strict answer")
    options = parser.parse_args()
    sound = (np.random.default_rng(0).standard_normal((options.slots, 640)) * 4000).astype(np.int16)
    print(f"local    {'':11}{_shown(_local(sound))}")
    with SynthProcess("--as", "wav2lip") as server:
        for rtt_ms in options.rtt_ms:
            with _relayed(server.base, rtt_ms / 2000) as base:
                for name, slices in (("ours", None), ("strict", options.slices)):
                    print(f"{name:8} RTT {rtt_ms:4.0f} ms{_shown(_remote(base, sound, slices))}", flush=True)


def _local(sound: Int16) -> Figures:
    with TemporaryDirectory() as folder:
        adapter = PortraitAdapter(cache_dir=Path(folder))
        adapter.load_model("cpu")
        avatar = adapter.load_avatar(PACKAGED / "presenter")
        return _least([_turn(adapter, adapter.open_stream(avatar), sound, avatar) for _ in range(TURNS)])


def _turn(adapter: ModelAdapter, stream: object, sound: Int16, avatar: object) -> Figures:
    out, first, pose = np.empty(i420_shape(512, 512), np.uint8), 0.0, 0
    began, spent = time.perf_counter(), time.process_time()
    for slot in [*sound, None]:
        chunk = None if slot is None else AudioChunk(slot, MODEL_RATE)
        for prediction in adapter.infer(adapter.extract_features(chunk, stream), stream):
            adapter.compose_frame(stream, pose % 200, prediction, out)
            pose += 1
            first = first or time.perf_counter() - began
    return _figures(first, began, spent, len(sound))


def _remote(base: str, sound: Int16, slices: int | None) -> Figures:
    adapter = RemoteAdapter("wav2lip", "omnirt", Settings(omnirt_endpoint=base))
    avatar = adapter.load_avatar(PACKAGED / "presenter")
    if slices is not None:
        image, nothing = avatar.opening.ref_image, frozenset[str]()
        strict = Opening(ref_image=image, width=512, height=512, slice_len=slices, extensions=nothing)
        avatar = RemoteAvatar(strict, [avatar.idle(0)])
    driver = LateDriver(adapter, avatar)
    driver.speak(sound[:30])
    figures = []
    for _ in range(TURNS):
        driver.adapter.reset(driver.stream)
        began, spent = time.perf_counter(), time.process_time()
        driver.speak(sound)
        figures.append(_figures(driver.first_s, began, spent, len(sound)))
    driver.close()
    return _least(figures)


def _figures(first_s: float, began: float, spent: float, frames: int) -> Figures:
    each_ms = 1000 / frames
    return first_s * 1000, (time.perf_counter() - began) * each_ms, (time.process_time() - spent) * each_ms


def _least(figures: list[Figures]) -> Figures:
    """Of a busy machine: nearest to what it takes alone."""
    first, each, cpu = (min(column) for column in zip(*figures, strict=True))
    return first, each, cpu


def _shown(figures: Figures) -> str:
    first, each, cpu = figures
    return f"  first {first:6.1f} ms   {each:5.2f} ms a frame   {cpu:5.2f} ms of CPU here"


@contextmanager
def _relayed(base: str, delay_s: float) -> Iterator[str]:
    """Another address of the same server, each direction later by so much; without delay its own."""
    if not delay_s:
        yield base
        return
    host, _, port = base.removeprefix("http://").partition(":")
    loop, ready, address = asyncio.new_event_loop(), threading.Event(), [""]

    relays: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            loop.call_later(delay_s, writer.write, data)
        loop.call_later(delay_s, writer.close)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relays.add(loop.create_task(join(reader, writer)))

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async def serve() -> None:
        relay = await asyncio.start_server(accept, "127.0.0.1", 0)
        address[0] = f"http://127.0.0.1:{relay.sockets[0].getsockname()[1]}"
        ready.set()

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(serve(), loop)
    assert ready.wait(10)

    async def end() -> None:
        for task in relays:
            task.cancel()
        await asyncio.gather(*relays, return_exceptions=True)

    yield address[0]
    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


if __name__ == "__main__":
    main()
