"""What a client of a talking-avatar server may rely on, proved from outside: HTTP, SSE, WebSocket and WebRTC alone.

    pytest tests/conformance                              against a node of our own, started for it
    pytest tests/conformance --server http://host:port    against any server of this shape

A file an item of the list in docs/conformance.md, numbered as there. A server that does not have an optional thing says
so (`GET /models`, `/health`, 404), and its tests are told apart as "not offered", never as passed. Nothing here imports
the server's code, reads its shared memory or speaks to its Redis.

Two items of the list cannot be seen by a client and belong beside the code that has them: 8, the mel of wav2lip
(tests/unit/models of that adapter), and 9, the AUDI/VIDX socket to a remote model (the same, of the remote adapter).
"""
