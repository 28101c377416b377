"""What of a fragment is said aloud: no markup, no emoji. Thoughts are gone before (opentalking/llm/thoughts.py)."""

from __future__ import annotations

import html
import re

_EMOJI_BASE = (
    "\U0001f000-\U0001faff\u203c\u2049\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299"
)
_EMOJI = re.compile(
    f"[0-9#*]\ufe0f?\u20e3|[{_EMOJI_BASE}](?:[\ufe0e\ufe0f\u200d\u20e3{_EMOJI_BASE}\U000e0020-\U000e007f])*"
    "|[\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f]"
)
_FENCE = re.compile(r"^\s*(?:```|~~~)\s*\w*\s*$")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])")
_LINK_TAIL = re.compile(r"\]\((?:https?://)?[^()\s]*\)")  # of a link that was cut in two
_URL = re.compile(
    r"<?\bhttps?://(?:www\.)?([\w.-]*\w)(?::\d+)?(?:[/?#][!-;=?-~]*[\w/=&#%~-]|[/?#])?>?", re.IGNORECASE | re.ASCII
)
_TOKEN = re.compile(r"<[|｜][A-Za-z0-9_▁-]{1,40}[|｜]>|\[/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS)\]")  # of a chat template
_QUOTED_TAG = re.compile(r"`<(/?[A-Za-z][\w-]*)[^<>`]*>`")  # spoken of, not used
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,80}>")
_LINE_MARK = re.compile(r"^\s*(?:(?:[-*+•‣]|>+|#{1,6})\s+)+")
_STARS = re.compile(r"(?<!\d)(?<!\d )\*+|\*{2,}|\*+(?! ?\d)")  # 3 * 4 is not emphasis
_EDGE_UNDERSCORE = re.compile(r"(?<!\w)_+|_+(?!\w)|_{2,}")
_PAIRS = (
    ("“", "”"),
    ("「", "」"),
    ("『", "』"),
    ("（", "）"),
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("《", "》"),
    ("【", "】"),
)


def speakable(fragment: str) -> str:
    """The words of a fragment as a person would read them out; "" when there are none."""
    if _FENCE.match(fragment):
        return ""
    text = _EMOJI.sub(" ", html.unescape(fragment))
    text = _LINK.sub(r"\1", text)
    text = _LINK_TAIL.sub("", text)
    text = _URL.sub(r"\1", text)
    text = _TOKEN.sub(" ", text)
    text = _QUOTED_TAG.sub(r"\1", text)
    text = _TAG.sub(" ", text)
    text = _LINE_MARK.sub("", text)
    text = re.sub(r"`+|~~", "", text)
    text = _STARS.sub("", text)
    text = _EDGE_UNDERSCORE.sub("", text).replace("_", " ")
    text = re.sub(r"\s*[|\\]\s*", " ", text)
    text = _drop_orphans(text)
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([,.!?;:，。！？；：])", r"\1", text)
    return text if any(char.isalnum() for char in text) else ""


def _drop_orphans(text: str) -> str:
    """Quotes and brackets without their partner, which another fragment took."""
    if text.count('"') % 2:
        text = text.replace('"', "")
    for opening, closing in _PAIRS:
        orphans: list[int] = []
        waiting: list[int] = []
        for position, char in enumerate(text):
            if char == opening:
                waiting.append(position)
            elif char == closing:
                if waiting:
                    waiting.pop()
                else:
                    orphans.append(position)
        gone = {*orphans, *waiting}
        if gone:
            text = "".join(char for position, char in enumerate(text) if position not in gone)
    return text
