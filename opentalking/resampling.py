"""PCM from one sample rate to another, by FFmpeg."""

from __future__ import annotations

from av.filter import Graph


def resampling(source_rate: int, target_rate: int) -> Graph:
    """Mono s16 frames in and out. As PyAV's AudioResampler, but without the threads that FFmpeg starts for every graph,
    one a core."""
    graph = Graph()
    graph.threads = 1
    source = graph.add("abuffer", sample_rate=str(source_rate), sample_fmt="s16", channel_layout="mono")
    target = graph.add("aformat", sample_rates=str(target_rate), sample_fmts="s16", channel_layouts="mono")
    graph.link_nodes(source, target, graph.add("abuffersink")).configure()
    return graph
