"""PCM from one sample rate to another, by FFmpeg."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from av import AudioFrame
from av.error import BlockingIOError as NothingYet
from av.filter import Graph

from opentalking.types import Int16

_NOTHING = np.zeros(0, np.int16)


def resampling(source_rate: int, target_rate: int) -> Graph:
    """Mono s16 frames in and out. As PyAV's AudioResampler, but without the threads that FFmpeg starts for every graph,
    one a core."""
    graph = Graph()
    graph.threads = 1
    source = graph.add("abuffer", sample_rate=str(source_rate), sample_fmt="s16", channel_layout="mono")
    target = graph.add("aformat", sample_rates=str(target_rate), sample_fmts="s16", channel_layouts="mono")
    graph.link_nodes(source, target, graph.add("abuffersink")).configure()
    return graph


class Resampler:
    """Mono s16 from one rate to another, without delay and sample-exact: n samples in, ceil(n * to / from) out."""

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._source_rate = source_rate
        self._target_rate = target_rate
        self._graph = resampling(source_rate, target_rate)
        self._fed = 0
        self._taken = 0
        self._made: list[Int16] = []
        self.waiting = 0

    @property
    def samples(self) -> int:
        """Samples that the ones fed so far come to."""
        return -(-self._fed * self._target_rate // self._source_rate)

    def push(self, samples: Int16) -> None:
        self._fed += len(samples)
        self._convert(samples)

    def finish(self, multiple: int) -> None:
        """Complete the stream, zeros up to a multiple. FFmpeg may swallow its last samples, so zeros go after them."""
        self._convert(np.zeros(self._source_rate // 100, np.int16))
        self._collect(None)
        own = np.concatenate(self._made)[: self.samples - self._taken]
        self._made = [own, np.zeros(-len(own) % multiple, np.int16)]
        self.waiting = sum(map(len, self._made))

    def take(self, samples: int) -> Int16:
        made = np.concatenate([_NOTHING, *self._made])
        self._made = [made[samples:]]
        self._taken += samples
        self.waiting -= samples
        return made[:samples]

    def _convert(self, samples: Int16) -> None:
        if len(samples):
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples)[None, :], "s16", "mono")
            frame.sample_rate = self._source_rate
            self._collect(frame)

    def _collect(self, frame: AudioFrame | None) -> None:
        self._graph.push(frame)
        with suppress(NothingYet, EOFError):
            while True:
                out = self._graph.pull()
                assert isinstance(out, AudioFrame)
                self._made.append(out.to_ndarray()[0])
                self.waiting += out.samples
