"""Every sound that a voice can make has a viseme."""

from __future__ import annotations

import json

import pytest

from opentalking.models.portrait.training.espeak import synthesise
from opentalking.models.portrait.training.phonemes import cmu_visemes, ipa_visemes, is_ipa_sound
from opentalking.models.portrait.training.piper import packaged_voice
from opentalking.models.portrait.training.texts import held_out_swedish, other_languages
from opentalking.models.portrait.visemes import SILENCE, VISEMES

# The phone set of flite's English voices and of PocketSphinx's dictionary.
CMU = (
    "aa ae ah ao aw ax axr ay b ch d dh dx eh el em en er ey f g hh hv ih iy jh k l m n ng nx ow oy p r s sh t th uh uw"
    " v w y z zh"
)
MARKS = set("_^$ !'(),-.:;?\"#0123456789↓")  # of punctuation; then of stress, length, tone and place
MARKS |= set("ˈˌːˑʰˤʲᵝ\u0327\u032a\u032f\u0329\u031d\u031e\u0303\u030a")


def named(visemes: tuple[int, ...]) -> list[str]:
    return [VISEMES[viseme] for viseme in visemes]


@pytest.mark.parametrize("phone", CMU.split())
def test_every_phone_of_the_cmu_set_moves_the_mouth(phone: str) -> None:
    assert SILENCE not in cmu_visemes(phone)
    assert cmu_visemes(phone) == cmu_visemes(phone.upper())


def test_pauses_are_silent_and_an_unknown_phone_is_an_error() -> None:
    assert named(cmu_visemes("pau")) == named(cmu_visemes("SIL")) == named(ipa_visemes("")) == ["sil"]
    with pytest.raises(KeyError):
        cmu_visemes("qq")


def test_every_symbol_of_pipers_voice_is_a_sound_or_a_mark() -> None:
    symbols = json.loads((packaged_voice().parent / (packaged_voice().name + ".json")).read_text())["phoneme_id_map"]
    assert {symbol for symbol in symbols if not is_ipa_sound(symbol)} <= MARKS


@pytest.mark.parametrize("language", [*other_languages(), "en-us", "sv"])
def test_every_phoneme_that_espeak_reports_has_a_viseme(language: str) -> None:
    sentences = {"en-us": ["The judge washed a beige yacht."], "sv": held_out_swedish()} | other_languages()
    names = {name for _, name in synthesise(" ".join(sentences[language]), language)[2]} - {""}
    assert len(names) > 10
    assert {name for name in names if SILENCE in ipa_visemes(name)} == set()
    assert {symbol for name in names for symbol in name if not is_ipa_sound(symbol)} <= MARKS


def test_the_tables_agree_on_what_both_can_write() -> None:
    pairs = {"tʃ": "ch", "dʒ": "jh", "θ": "th", "aɪ": "ay", "oʊ": "ow", "ə": "ax", "ɜː": "er", "ŋ": "ng", "w": "w"}
    expected = {"ow": ["O", "U"]}
    for ipa, cmu in pairs.items():
        assert named(ipa_visemes(ipa)) == expected.get(cmu, named(cmu_visemes(cmu)))


def test_mandarins_own_names_are_read_as_what_they_sound() -> None:
    def mouths(pinyin: str) -> list[str]:
        return [v for _, name in synthesise(pinyin, "cmn-latn-pinyin")[2] if name for v in named(ipa_visemes(name))]

    assert mouths("che1") == ["CH", "E"]
    assert mouths("zhong1") == ["CH", "O", "kk"]
    assert mouths("pa4") == ["PP", "aa"]
