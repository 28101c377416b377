"""The synth-server: a local model, served to other machines over the audio2video WebSocket. docs/remote.md.

__main__.py   the process
app.py        HTTP: who may come in, the list of models, the WebSocket
session.py    one client's session: sound in, pictures out
faces.py      avatars of the pictures that clients send
device.py     the model's thread, which all sessions share
"""
