"""Measurements of the promises in docs/promises.md, on this machine, against a real node with stand-in providers."""
