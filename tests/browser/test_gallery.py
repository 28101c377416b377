"""The gallery as a person uses it, on a real node: look, choose, switch in the middle of a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED, list_bundles
from tests.browser.guest import Guest

pytestmark = pytest.mark.browser

LINE = "Hello there, I am a face. My mouth follows the sound of every word, whoever it is that speaks."


def face_of(avatar_id: str) -> np.ndarray:
    picture = cv2.imread(str(PACKAGED / avatar_id / "reference.png"))
    assert picture is not None
    return picture


FACES = {name: face_of(name) for name in ("presenter", "drawn")}


async def shows(guest: Guest, avatar_id: str) -> None:
    """Until the page says so; then the picture must, too."""
    await guest.until("(id) => opentalking.avatar === id", avatar_id)
    await guest.frames(10)  # what was in the jitter buffer is over
    assert await guest.looks_like(FACES) == avatar_id


async def test_the_gallery_shows_every_face_with_its_picture_and_marks_the_one_on_stage(guest: Guest) -> None:
    await guest.page.click("#faces")
    for bundle in list_bundles(PACKAGED):
        card = guest.page.locator(f"[data-avatar={bundle.id}]")
        assert await card.locator(".face-name").inner_text() == bundle.name
        await guest.until("(id) => document.querySelector(`[data-avatar=${id}] img`).naturalWidth > 100", bundle.id)
    marked = await guest.page.eval_on_selector_all(
        "[aria-current]", "(all) => all.map((one) => one.closest('li').dataset.avatar)"
    )
    assert marked == ["presenter"]
    assert await guest.page.locator(".face-delete").count() == 0  # those came with the server


async def test_a_click_on_a_face_starts_a_conversation_with_it(guest: Guest) -> None:
    await guest.page.click("#faces")
    await guest.page.click("[data-avatar=drawn] .face-choice")
    await guest.watch()
    await shows(guest, "drawn")
    assert await guest.page.is_hidden("#gallery")


async def test_a_switch_changes_the_face_in_the_middle_of_a_sentence_and_nothing_else(guest: Guest) -> None:
    await guest.connect()
    assert await guest.looks_like(FACES) == "presenter"
    before = await guest.page.evaluate(
        "[opentalking.sessionId, document.getElementById('stage').getBoundingClientRect().toJSON()]"
    )
    await guest.say(LINE)
    await guest.until_it_speaks()
    await guest.page.click("#faces")
    await guest.page.click("[data-avatar=drawn] .face-choice")
    await shows(guest, "drawn")
    assert await guest.page.get_attribute("[data-avatar=drawn] .face-choice", "aria-current") == "true"
    await guest.until_heard(LINE)
    [turn] = await guest.turns()
    assert turn["state"] == "done"
    after = await guest.page.evaluate(
        "[opentalking.sessionId, document.getElementById('stage').getBoundingClientRect().toJSON()]"
    )
    assert after == before  # the same conversation, on a page that did not move
    video = await guest.received("video")
    assert video["packetsLost"] == 0 and video["freezeCount"] == 0
    await guest.page.click("#gallery-close")
    await guest.say("And so do I.")
    await guest.until_heard("And so do I.")


async def test_the_face_chosen_last_is_there_after_a_reload(guest: Guest) -> None:
    await guest.connect()
    await guest.page.click("#faces")
    await guest.page.click("[data-avatar=drawn] .face-choice")
    await shows(guest, "drawn")
    await guest.page.reload()
    await guest.watch()
    await shows(guest, "drawn")
    assert "avatars/drawn/" in (await guest.page.get_attribute("#preview", "src") or "")


async def test_a_face_that_cannot_be_loaded_is_said_in_words_and_the_one_before_stays(guest: Guest) -> None:
    async def with_a_ghost(route) -> None:  # type: ignore[no-untyped-def]
        listed = await (await route.fetch()).json()
        await route.fulfill(json=[{"id": "ghost", "name": "Ghost"}, *listed])

    await guest.page.route("**/avatars", with_a_ghost)
    await guest.connect()
    await guest.page.click("#faces")
    await guest.page.click("[data-avatar=ghost] .face-choice")
    await guest.page.wait_for_selector("#gallery-trouble:not(:empty)")
    assert "does not exist any more" in await guest.page.inner_text("#gallery-trouble")
    await guest.frames(10)
    assert await guest.looks_like(FACES) == "presenter"
    assert {text for text in guest.complaints if "404" not in text} == set()
    guest.complaints.clear()


async def test_the_gallery_is_reached_used_and_left_by_the_keyboard(guest: Guest) -> None:
    keyboard = guest.page.keyboard
    await guest.connect()
    await guest.page.focus("#faces")
    await keyboard.press("Enter")
    await guest.page.wait_for_selector("[data-avatar=drawn]")
    for _ in range(6):
        await keyboard.press("Tab")
        if await guest.page.evaluate("document.activeElement.closest('[data-avatar=drawn]') !== null"):
            break
    await keyboard.press("Enter")
    await shows(guest, "drawn")
    await keyboard.press("Escape")
    assert await guest.page.is_hidden("#gallery")
    assert await guest.page.evaluate("document.activeElement.id") == "faces"
    assert await guest.page.evaluate("opentalking.phase") == "live"


async def test_without_consent_nothing_is_sent_and_the_page_says_what_is_missing(guest: Guest) -> None:
    sent: list[str] = []
    guest.page.on("request", lambda request: sent.append(request.url) if "custom" in request.url else None)
    await guest.page.click("#faces")
    await guest.page.click("#upload-open")
    missing = guest.page.locator("#upload-missing")
    assert await missing.inner_text() == "Choose a photo first."
    await guest.page.set_input_files("#photo", PACKAGED / "drawn" / "reference.png")
    await guest.page.fill("#face-name", "Anna")
    assert "Tick the box" in await missing.inner_text()
    assert await guest.page.is_disabled("#upload-send")
    await guest.page.press("#face-name", "Enter")
    assert sent == []
    await guest.page.check("#consent")
    assert await guest.page.is_enabled("#upload-send")


async def offers(guest: Guest, picture: Path, name: str) -> None:
    """Fill in the form and send it."""
    await guest.page.click("#faces")
    await guest.page.click("#upload-open")
    await guest.page.set_input_files("#photo", picture)
    await guest.page.fill("#face-name", name)
    await guest.page.check("#consent")
    await guest.page.click("#upload-send")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """The presenter as a camera would give her."""
    path = tmp_path / "IMG_2034.jpg"
    cv2.imwrite(str(path), FACES["presenter"], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return path


async def test_a_photo_becomes_a_face_that_speaks_at_once_and_can_be_deleted(guest: Guest, photo: Path) -> None:
    await offers(guest, photo, "Anna")
    await guest.page.wait_for_selector("#progress:not([hidden])")
    await guest.watch()
    made = str(await guest.page.evaluate("opentalking.avatar"))
    assert made.startswith("custom-anna")
    await guest.until("opentalking.turns.at(-1)?.state === 'done'")
    [turn] = await guest.turns()
    assert "I am Anna" in turn["heard"]
    await guest.frames(25)
    assert await guest.motion("speaking") > 3 * await guest.motion("listening")

    card = guest.page.locator(f"[data-avatar={made}]")
    assert await card.locator(".face-name").inner_text() == "Anna"
    await card.locator(".face-delete").click()
    await card.locator("text=Keep").click()
    assert await card.is_visible()
    await card.locator(".face-delete").click()
    await card.locator(".face-question .bad").click()
    await card.wait_for(state="detached")
    listed = await guest.page.evaluate("fetch('/avatars').then((answer) => answer.json())")
    assert made not in [avatar["id"] for avatar in listed]
    await guest.frames(10)  # whoever talks to it goes on


async def test_a_face_that_is_made_in_a_conversation_takes_it_over(guest: Guest, photo: Path) -> None:
    await guest.connect()
    session = await guest.page.evaluate("opentalking.sessionId")
    await offers(guest, photo, "Berta")
    await guest.until("opentalking.avatar.startsWith('custom-berta') && opentalking.turns.at(-1)?.state === 'done'")
    assert await guest.page.evaluate("opentalking.sessionId") == session
    made = await guest.page.evaluate("opentalking.avatar")
    assert await guest.page.get_attribute(f"[data-avatar={made}] .face-choice", "aria-current") == "true"
    await guest.page.evaluate("(id) => fetch(`/avatars/${id}`, { method: 'DELETE' })", made)


async def test_a_picture_without_a_face_is_refused_in_words_and_another_may_be_chosen(
    guest: Guest, tmp_path: Path
) -> None:
    wall = tmp_path / "wall.png"
    cv2.imwrite(str(wall), np.random.default_rng(1).integers(90, 130, (600, 600, 3), np.uint8))
    await offers(guest, wall, "Wall")
    await guest.page.wait_for_selector("#report .report-title")
    assert await guest.page.inner_text("#report .report-title") == "This picture cannot be used."
    [finding] = await guest.page.locator("#report li").all_inner_texts()
    assert finding.startswith("No face was found; use a portrait from the front")
    assert await guest.page.evaluate("opentalking.phase") == "idle"
    assert await guest.page.is_enabled("#upload-send")
    listed = await guest.page.evaluate("fetch('/avatars').then((answer) => answer.json())")
    assert "Wall" not in [avatar["name"] for avatar in listed]


async def test_an_upload_can_be_given_up_and_sent_again(guest: Guest, photo: Path) -> None:
    given_up: list[str] = []
    guest.page.on("requestfailed", lambda request: given_up.append(request.url))

    async def never(route) -> None:  # type: ignore[no-untyped-def]
        pass

    await guest.page.route("**/avatars/custom", never)
    await offers(guest, photo, "Anna")
    await guest.page.click("#upload-cancel")
    assert await guest.page.is_enabled("#upload-send") and await guest.page.is_hidden("#progress")
    assert await guest.page.evaluate("document.activeElement.id") == "upload-send"
    assert await guest.page.inner_text("#report") == ""
    assert [url.rpartition("/")[2] for url in given_up] == ["custom"]
    assert await guest.page.input_value("#face-name") == "Anna"
    guest.complaints.clear()


async def test_a_face_that_could_not_be_put_on_is_not_spoken_for(guest: Guest, photo: Path) -> None:
    made = {"avatar": {"id": "custom-anna-1", "name": "Anna"}, "report": {"verdict": "ok", "findings": []}}

    async def build(route) -> None:  # type: ignore[no-untyped-def]
        body = f"event: done\ndata: {json.dumps(made)}\n\n"
        await route.fulfill(content_type="text/event-stream", body=body)

    async def refuse(route) -> None:  # type: ignore[no-untyped-def]
        await route.fulfill(status=503, json={"code": "at_capacity", "detail": "full"})

    await guest.page.route("**/avatars/custom", build)
    await guest.page.route("**/sessions/*/avatar", refuse)
    await guest.connect()
    await offers(guest, photo, "Anna")
    await guest.page.wait_for_selector("#gallery-trouble:not(:empty)")
    await guest.frames(5)
    assert await guest.turns() == []
    guest.complaints.clear()


async def test_the_form_says_and_keeps_the_servers_limits(guest: Guest, photo: Path) -> None:
    async def with_less(route) -> None:  # type: ignore[no-untyped-def]
        told = await (await route.fetch()).json()
        await route.fulfill(json=told | {"avatar_bytes": {"image": 2_000_000, "video": 3_000_000}})

    await guest.page.route("**/health", with_less)
    await guest.page.reload()
    await guest.page.wait_for_selector("body:not(.loading)")
    await guest.page.click("#faces")
    await guest.page.click("#upload-open")
    assert "up to 2 MB, or a short video up to 3 MB" in await guest.page.inner_text(".formats")
    large = photo.with_name("large.jpg")
    large.write_bytes(bytes(2_000_001))
    await guest.page.set_input_files("#photo", large)
    assert "a photo may have 2 MB" in await guest.page.inner_text("#report")
