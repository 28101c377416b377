"""Which viseme a phoneme is: one table for IPA (espeak-ng, Piper), one for CMU phones (flite, PocketSphinx).

Both say the same of the same sound, so that voices of different engines do not teach the net two answers. ə is half as
open as ʌ and æ, so it is another mouth, though Microsoft's table of visemes has them together: a jaw that falls wide at
every unstressed syllable follows the phonemes worse (docs/visemes.md). CMU's dictionary writes ə and ʌ alike, so that
recordings which are aligned by it do not tell them apart.
"""

from __future__ import annotations

from opentalking.models.portrait.visemes import SILENCE, VISEMES

_IPA_SETS = {
    "PP": "pbmɸβɓʙʘ",
    "FF": "fvʋⱱɱ",
    "TH": "θð",
    "DD": "tdɾʈɖɗɽɺ",
    "kk": "kɡgŋxɣqɢhɦħcɟçχʔɠʛʄɰɴʕʜʡʢɧǀǁǂǃ",
    "CH": "ʃʒɕʑʂʐ",
    "SS": "sz",
    "nn": "nlɫɲʎɭɳʟɬɮ",
    "RR": "ɹrʁʀɻɚɝɜɞ˞",
    "aa": "aɑɐæʌɶäã",
    "E": "eɛεɤɘəẽ",
    "I": "iɪjɨᵻʝɯĩ",
    "O": "oɔɒõ",
    "U": "uʊwʉyʏøœɥʍɵũ",
}
_IPA = {symbol: VISEMES.index(viseme) for viseme, symbols in _IPA_SETS.items() for symbol in symbols}
_FRICATIVES = {symbol: _IPA[symbol] for symbol in _IPA_SETS["CH"] + _IPA_SETS["SS"]}

_CMU_SETS = {
    "PP": "p b m em",
    "FF": "f v",
    "TH": "th dh",
    "DD": "t d dx",
    "kk": "k g ng hh hv",
    "CH": "ch jh sh zh",
    "SS": "s z",
    "nn": "n l el en nx",
    "RR": "r er axr",
    "aa": "aa ae ah",
    "E": "eh ax",
    "I": "ih iy ix y",
    "O": "ao",
    "U": "uh uw w",
    "sil": "pau h# brth sil +spn+ +nsn+",
}
_CMU: dict[str, tuple[int, ...]] = {
    phone: (VISEMES.index(viseme),) for viseme, phones in _CMU_SETS.items() for phone in phones.split()
}
_CMU |= {
    phone: tuple(VISEMES.index(viseme) for viseme in parts.split())
    for phone, parts in {"ay": "aa I", "aw": "aa U", "ey": "E I", "ow": "O U", "oy": "O I"}.items()
}


def ipa_visemes(phoneme: str) -> tuple[int, ...]:
    """Indices into VISEMES that a phoneme of IPA goes through, for equal parts of its time: ("aɪ" → aa, I).

    An affricate is the mouth of its fricative from the start. Marks of length, stress or tone have no viseme of
    their own: what holds nothing else is silence.
    """
    visemes: list[int] = []
    for symbol, following in zip(phoneme, f"{phoneme} "[1:], strict=False):  # the last is followed by a space
        if symbol in "td" and following in _FRICATIVES:
            continue
        if symbol in _IPA:
            visemes.append(_IPA[symbol])
    return tuple(visemes) or (SILENCE,)


def is_ipa_sound(symbol: str) -> bool:
    """Whether one symbol has a viseme; stress, length, tone, diacritics and punctuation have none."""
    return symbol in _IPA


def cmu_visemes(phone: str) -> tuple[int, ...]:
    """Indices into VISEMES that a phone of the CMU set goes through, for equal parts of its time.

    Raises KeyError for a phone that is not in the set.
    """
    return _CMU[phone.lower()]
