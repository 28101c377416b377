"""The last stage: AV slots out to a browser, on one media clock a session.

Read in the order of the journey: clock, playout (what is due now), stream, video and opus (how it is encoded), idle
(what goes out between turns), transmitter (all of it, every 20 ms), rtp and sender (how it leaves), peer (the
connection). aiortc_seam is what is private.
"""
