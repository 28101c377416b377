"""The face that runs on a CPU: sound → mouth shapes by a small net, picture → frames by warping one portrait.

mel.py, net.py    16 kHz PCM → 15 viseme scores, a hundred a second, streaming, NumPy only
track.py          scores → twelve mouth parameters a frame, smoothed, with the turn's beginning and end
visemes.py        the table from visemes to mouth parameters
shapes.py         face shapes of a CC0 head, fitted onto a picture's landmarks
fields.py         smooth displacement fields from a few moved points
rig.py, cache.py  everything one picture needs, computed once and kept on disk
rest.py           the picture's own mouth: where its lips meet, closed, without its smile
sprites.py        teeth and tongue in the light of the picture, or its own teeth
sharpness.py      how soft the picture is
eyes.py, gaze.py  lids that close, behind spectacles too, and irises that move
lips.py           per frame: move the lips and jaw of the picture
interior.py       per frame: teeth and tongue in the open mouth
motion.py         the idle loop: head, breathing, blinks, glances
planes.py         pictures as I420 planes: all per-frame work is done on them
clip.py           a filmed person: the same mouth on the frames of a video
adapter.py        the ModelAdapter
training/         how data/viseme_net.npz is made; not imported at run time
"""
