"""Faces that are drawn on another machine, over the audio2video WebSocket. How it works: docs/remote.md.

wire.py         the protocol: messages as values, both dialects, nothing else
chunker.py      a turn's sound cut into messages of the size that the server takes
timeline.py     which of the server's pictures belongs to which 40 ms
endpoint.py     where a model's server is, by the settings, and whether it is there
connection.py   one session with a server, on a thread of its own: connects again, with deadlines
pictures.py     JPEG to I420 of the avatar's size
adapter.py      the LateAdapter
"""
