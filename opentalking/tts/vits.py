"""VITS voices (Piper's kind) decoded in chunks, so that the first sound is out before the sentence is done.

A voice is exported as one graph, phoneme ids in, waveform out. It has a seam:

    ids -> text encoder -> durations -> alignment -> z_p, mask  |  flow -> HiFi-GAN -> samples
           front end: sees the whole sentence, cheap               decoder: convolutions over frames, 95 % of the work

All sampled noise is drawn before the seam. The decoder has a finite receptive field, so decoding frames [a, b) with
enough frames of context on both sides gives the very samples the whole decode would have at that place.
The seam is found by structure: `z_p` is the sum that takes in the last random tensor, `mask` the other tensor that
the rest of the graph needs. (VITS: Kim et al. 2021, arXiv:2106.06103; the idea of cutting there: streaming-vits.)
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime

from opentalking.types import Float32

LEFT_FRAMES = 34  # receptive field of flow and HiFi-GAN in frames, measured on Piper's medium voices
RIGHT_FRAMES = 28
# Frames a chunk: the first just enough (300 ms) for what waits for sound (fades 80 ms, the face's look-ahead 120, the
# playout's prebuffer 80), or the first frame would wait for the second chunk; then larger, to waste less on context.
SCHEDULE = (26, 40, 80)
_SPLIT_VERSION = 1  # in the cache key: raise it when the way of splitting changes


class SplitInfo(msgspec.Struct, frozen=True):
    """What the cached halves of a voice need to be run."""

    seam: list[str]  # z_p, the mask, and for voices of many speakers the speaker
    hop: int  # samples a frame


@dataclass(frozen=True, slots=True)
class Latents:
    """A sentence at the seam, float32: z_p (1, channels, frames), mask (1, 1, frames), perhaps speaker (1, n, 1)."""

    tensors: tuple[Float32, ...]

    @property
    def frames(self) -> int:
        return int(self.tensors[0].shape[2])


def chunk_spans(frames: int) -> Iterator[tuple[int, int]]:
    """Frame spans [start, end) by `SCHEDULE`; a short rest joins the chunk before it."""
    start = 0
    for size in chain(SCHEDULE, repeat(SCHEDULE[-1])):
        if start >= frames:
            return
        end = frames if frames - start < size + SCHEDULE[0] else start + size
        yield start, end
        start = end


class ChunkedVits:
    """One voice, its two halves loaded. Not thread-safe: call it from one thread."""

    def __init__(self, voice: Path, cache: Path, threads: int) -> None:
        folder = ensure_split(voice, cache)
        self._info = msgspec.json.decode((folder / "split.json").read_bytes(), type=SplitInfo)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CPUExecutionProvider"]
        self._front = onnxruntime.InferenceSession(folder / "front.onnx", options, providers)
        self._decoder = onnxruntime.InferenceSession(folder / "decoder.onnx", options, providers)
        self._takes_speaker = any(node.name == "sid" for node in self._front.get_inputs())

    @property
    def hop(self) -> int:
        return self._info.hop

    def align(self, ids: list[int], scales: tuple[float, float, float], speaker: int = 0) -> Latents:
        """Phoneme ids to latents. `scales`: noise, length, duration noise."""
        feed = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if self._takes_speaker:
            feed["sid"] = np.array([speaker], np.int64)
        return Latents(tuple(self._front.run(self._info.seam, feed)))

    def decode(self, latents: Latents, start: int, end: int) -> Float32:
        """Samples of frames [start, end), float32 of about -1…1, shape ((end - start) * hop,)."""
        low, high = max(0, start - LEFT_FRAMES), min(latents.frames, end + RIGHT_FRAMES)
        feed = {
            name: tensor[:, :, low:high] if tensor.shape[2] == latents.frames else tensor
            for name, tensor in zip(self._info.seam, latents.tensors, strict=True)
        }
        samples: Float32 = self._decoder.run(None, feed)[0].reshape(-1)
        return samples[(start - low) * self.hop : (end - low) * self.hop]


def ensure_split(voice: Path, cache: Path) -> Path:
    """Folder with front.onnx, decoder.onnx and split.json of a voice; made once, whole or not at all."""
    stat = voice.stat()
    key = hashlib.sha256(f"{_SPLIT_VERSION}:{voice.resolve()}:{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[
        :16
    ]
    folder = cache / f"{voice.stem}-{key}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".split-") as scratch:
        made = Path(scratch) / "halves"
        made.mkdir()
        _split(voice, made)
        try:
            os.rename(made, folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    return folder


def _split(voice: Path, folder: Path) -> None:
    import onnx  # only here: a cached voice does not need it

    model = onnx.load(os.fspath(voice))
    del model.metadata_props[:]  # Piper repeats keys, which onnx's checker refuses
    seam, hop = _find_seam(model.graph)
    extractor = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model, data_prop=True))
    inputs = [node.name for node in model.graph.input]
    outputs = [node.name for node in model.graph.output]
    onnx.save(extractor.extract_model(inputs, seam), os.fspath(folder / "front.onnx"))
    onnx.save(extractor.extract_model(seam, outputs), os.fspath(folder / "decoder.onnx"))
    (folder / "split.json").write_bytes(msgspec.json.encode(SplitInfo(seam, hop)))


def _find_seam(graph: Any) -> tuple[list[str], int]:
    """(tensors at the seam, z_p first; samples a frame) of an onnx.GraphProto. Raises ValueError for another kind."""
    nodes = list(graph.node)
    made_at = {name: index for index, node in enumerate(nodes) for name in node.output}
    noise = [index for index, node in enumerate(nodes) if node.op_type == "RandomNormalLike"]
    strides = [
        attribute.ints[0]
        for node in nodes
        if node.op_type == "ConvTranspose"
        for attribute in node.attribute
        if attribute.name == "strides"
    ]
    if not noise or not strides:
        raise ValueError("this is not a VITS voice as Piper exports it")
    reached, cut = set(nodes[noise[-1]].output), None
    for index in range(noise[-1] + 1, len(nodes)):
        if reached.isdisjoint(nodes[index].input):
            continue
        if nodes[index].op_type == "Add":
            cut = index
            break
        reached.update(nodes[index].output)
    if cut is None:
        raise ValueError("this voice has no sum after its last noise")
    z_p = nodes[cut].output[0]
    needed = {name: made_at.get(name, len(nodes)) for node in nodes[cut + 1 :] for name in node.input}
    others = [name for name, at in needed.items() if at < cut and nodes[at].op_type != "Constant"]
    return [z_p, *others], math.prod(strides)
