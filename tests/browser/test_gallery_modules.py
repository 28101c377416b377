"""The gallery's and the upload's own modules, in Chromium; the server is played by the test."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import Page, Route

pytestmark = pytest.mark.browser

AVATARS = [
    {"id": "wax", "name": "Wax", "model_type": "melted"},
    {"id": "presenter", "name": "Presenter", "model_type": "portrait"},
    {"id": "custom-anna", "model_type": "portrait", "is_custom": True},
]
PORTRAIT = {"id": "portrait", "connected": True, "reason": "local_runtime"}
MELTED = {"id": "melted", "connected": False, "reason": "too_slow", "detail": "It holds 3 of 25 frames a second here."}


async def cards(page: Page, models: Any, current: str = "presenter", coming: str = "") -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = await page.evaluate(
        """async (all) => (await import("/static/gallery.js")).cards(...all)""", [AVATARS, models, current, coming]
    )
    return made


async def test_cards_tell_who_is_shown_who_comes_and_who_was_added(page: Page) -> None:
    made = {card["id"]: card for card in await cards(page, [PORTRAIT, MELTED], coming="custom-anna")}
    assert [name for name, card in made.items() if card["current"]] == ["presenter"]
    assert [name for name, card in made.items() if card["coming"]] == ["custom-anna"]
    assert [name for name, card in made.items() if card["custom"]] == ["custom-anna"]
    assert made["custom-anna"]["name"] == "custom-anna"  # it has no other


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (MELTED, "It holds 3 of 25 frames a second here."),
        ({**MELTED, "detail": "", "reason": "loading"}, "Its model is still loading."),
        ({**MELTED, "detail": "", "reason": "cold"}, "Its model melted cannot be used: cold."),
        (None, "It needs the model melted, which this server does not have."),
    ],
)
async def test_a_face_whose_model_is_not_there_comes_last_and_says_why(page: Page, status: Any, why: str) -> None:
    made = await cards(page, [PORTRAIT, *([status] if status else [])])
    assert [(card["id"], card["why"]) for card in made] == [("presenter", ""), ("custom-anna", ""), ("wax", why)]


async def test_until_the_models_are_known_every_face_may_be_tried(page: Page) -> None:
    assert [card["why"] for card in await cards(page, None)] == ["", "", ""]


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ({"name": "a.jpg", "type": "image/jpeg", "size": 10_000_000}, ""),
        ({"name": "a.MOV", "type": "", "size": 200_000_000}, ""),
        ({"name": "a.jpg", "type": "image/jpeg", "size": 10_000_001}, "11 MB; a photo may have 10 MB"),
        ({"name": "a.mp4", "type": "video/mp4", "size": 200_000_001}, "201 MB; a video may have 200 MB"),
        ({"name": "a.pdf", "type": "application/pdf", "size": 10}, "neither a photo nor a video"),
        ({"name": "a.png", "type": "image/png", "size": 0}, "empty"),
    ],
)
async def test_what_cannot_be_sent_is_told_before_it_is_sent(page: Page, file: Any, problem: str) -> None:
    told = await page.evaluate("""async (file) => (await import("/static/upload.js")).problemOf(file)""", file)
    assert problem in told and bool(problem) == bool(told)


@pytest.mark.parametrize(
    ("file", "name"),
    [("anna-maria.jpg", "Anna Maria"), ("IMG_2034.jpg", ""), ("20240501.png", ""), ("photo.jpg", ""), ("jo.png", "Jo")],
)
async def test_a_file_lends_its_name_if_a_person_gave_it(page: Page, file: str, name: str) -> None:
    assert await page.evaluate("""async (file) => (await import("/static/upload.js")).nameFrom(file)""", file) == name


async def test_events_are_read_once_each_however_the_text_is_cut(page: Page) -> None:
    text = 'event: progress\ndata: {"share": 0.5}\n\n: a comment\n\nevent: done\ndata: {"id": "x"}\n\nevent: la'
    for step in (1, 7, len(text)):
        events = await page.evaluate(
            """async ([text, step]) => {
                const reader = new (await import("/static/upload.js")).EventText();
                const events = [];
                for (let end = step; end <= text.length + step; end += step) {
                    events.push(...reader.read(text.slice(0, end)));
                }
                return events;
            }""",
            [text, step],
        )
        assert events == [["progress", {"share": 0.5}], ["done", {"id": "x"}]]


def stream(*events: tuple[str, Any]) -> dict[str, Any]:
    body = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    return {"content_type": "text/event-stream", "body": body}


async def send(page: Page, answer: dict[str, Any]) -> dict[str, Any]:
    """Send a photo to a server that answers so: what was sent, the progress, and what came of it."""
    sent: dict[str, str] = {}

    async def play(route: Route) -> None:
        sent["accept"] = route.request.headers["accept"]
        sent["body"] = (route.request.post_data_buffer or b"").decode("latin-1")
        await route.fulfill(**answer)

    await page.route("**/avatars/custom", play)
    result: dict[str, Any] = await page.evaluate(
        """async () => {
            const { build } = await import("/static/upload.js");
            const file = new File(["pixels"], "anna.png", { type: "image/png" });
            const stages = [];
            const note = (share, stage) => stages.push([Number(share.toFixed(3)), stage]);
            return build({ file, name: "Anna", consent: true }, note, new AbortController().signal)
                .then((built) => ({ built, stages }), ({ code, detail, report }) => ({ code, detail, report, stages }));
        }"""
    )
    return result | {"sent": sent}


async def test_a_photo_is_sent_with_name_and_consent_and_followed_to_its_avatar(page: Page) -> None:
    avatar, report = {"id": "custom-anna-1", "name": "Anna"}, {"verdict": "ok", "findings": []}
    done = {"avatar": avatar, "report": report}
    got = await send(page, stream(("progress", {"stage": "face", "share": 0.5}), ("done", done)))
    assert got["built"] == avatar | {"report": report}
    assert got["stages"][-1] == [0.625, "face"]
    assert got["sent"]["accept"] == "text/event-stream"
    for part in ('name="name"\r\n\r\nAnna', 'name="consent"\r\n\r\ntrue', 'name="image"; filename="anna.png"'):
        assert part in got["sent"]["body"]


REPORT = {"verdict": "refuse", "findings": [{"code": "no_face", "severity": "refuse", "message": "no face was found"}]}


@pytest.mark.parametrize("told", ["in the stream", "at once"])
async def test_a_refusal_brings_its_report(page: Page, told: str) -> None:
    problem = {"detail": "no face was found", "code": "no_face", "report": REPORT}
    plain = {"status": 422, "content_type": "application/json", "body": json.dumps(problem)}
    got = await send(page, stream(("error", problem)) if told == "in the stream" else plain)
    assert (got["code"], got["detail"], got["report"]) == ("no_face", "no face was found", REPORT)


async def test_a_stream_that_breaks_off_is_a_failure_and_not_waited_for(page: Page) -> None:
    got = await send(page, stream(("progress", {"stage": "face", "share": 0.5})))
    assert got["code"] == "unreachable"
