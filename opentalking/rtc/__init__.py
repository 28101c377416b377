"""The last stage: AV slots out to a browser, on one media clock a session.

Read in the order of the journey: clock, playout (what is due now), stream, video and opus (how it is encoded), idle
(what goes out between turns), tracks (how aiortc asks for it), peer (the connection). aiortc_seam is what is private.
"""
