"""Who may speak: voice activity, the end of a turn, and speech over the avatar. All time is the audio's own.

Nothing here knows of processes, sockets or clocks: samples at 16 kHz go in, decisions come out.
"""
