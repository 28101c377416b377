"""How `data/viseme_net.npz` is made: speech with known phonemes is synthesised, and a small net learns to hear visemes.

    make train-visemes
    python -m opentalking.models.portrait.training train | evaluate

phonemes.py                   IPA and CMU phones → the fifteen visemes
labelled.py                   speech with a viseme for every 10 ms
espeak.py, flite.py,
festival.py, piper.py          the voices, each telling when it says which phoneme
recorded.py                   recorded people, aligned by PocketSphinx; for the evaluation only
texts.py, texts/              what is said
rooms.py                      another pitch, another room
corpus.py                     who says what; which voices are held out
batches.py                    pieces of it, changed at random
module.py, learn.py           the net in torch and its training; folded into the NumPy net
evaluate.py                   how well a net hears, beside other weights and beside loudness
__main__.py                   the command

Nothing here is imported when the face runs, and none of it is in the wheel. It needs `pip install -e
'.[offline,training]'`, torch, and Debian's flite and Festival voices, which the command names when they are missing;
asterisk-core-sounds-en-g722 and asterisk-core-sounds-en for one of the evaluations. Figures: docs/visemes.md.
"""
