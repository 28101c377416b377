"""Where a session goes."""

from __future__ import annotations

import msgspec
import pytest

from api.errors import ApiError
from api.placement import Placement, place, serves
from opentalking.store import ROLES, Session, WorkerBeat
from tests.api_client import beat
from tests.unit.store.sessions import new_session


def node(name: str, numbers: int = 1, **changes: object) -> list[WorkerBeat]:
    return [beat(name, role, number, **changes) for role in ROLES for number in range(1, numbers + 1)]


def session(on: str, number: int = 1) -> Session:
    workers = {f"{role}_worker": f"{on}:{role}-{number}" for role in ROLES}
    return Session.from_hash(msgspec.structs.replace(new_session(), node=on, **workers).to_hash())


def test_the_three_workers_are_of_one_node() -> None:
    assert place(node("a"), [], 4) == Placement("a", "a:speech-1", "a:inference-1", "a:rtc-1")


def test_the_node_with_fewest_sessions_is_chosen() -> None:
    assert place(node("a") + node("b"), [session("a"), session("a"), session("b")], 4).node == "b"


def test_the_least_busy_worker_of_each_role_is_chosen() -> None:
    assert place(node("a", 2), [session("a", 1)], 4).rtc == "a:rtc-2"


def test_a_node_that_lacks_a_role_is_passed_over() -> None:
    incomplete = [worker for worker in node("a") if worker.role != "rtc"]
    assert place(incomplete + node("b"), [session("b")], 4).node == "b"


def test_roles_on_different_nodes_do_not_make_one() -> None:
    workers = [worker for worker in node("a") if worker.role != "rtc"] + [beat("b", "rtc")]
    with pytest.raises(ApiError) as caught:
        place(workers, [], 4)
    assert (caught.value.code, caught.value.detail) == ("no_workers", "no node has all three kinds of worker ready")


def test_the_kinds_that_are_missing_are_named() -> None:
    with pytest.raises(ApiError) as caught:
        place([beat("a", "rtc")], [], 4)
    error = caught.value
    assert (error.status, error.detail) == (503, "no speech and no inference worker is ready")
    assert error.headers == {"Retry-After": "5"}


def test_a_full_node_is_passed_over_and_when_all_are_full_that_is_said() -> None:
    workers = node("a") + node("b")
    assert place(workers, [session("a"), session("b"), session("b")], 2).node == "a"
    with pytest.raises(ApiError) as caught:
        place(workers, [session("a"), session("b")], 1)
    assert (caught.value.status, caught.value.code) == (503, "at_capacity")
    assert "Retry-After" in caught.value.headers


def test_a_worker_without_room_is_passed_over() -> None:
    with pytest.raises(ApiError) as caught:
        place(node("a", capacity=1), [session("a")], 9)
    assert caught.value.code == "at_capacity"
    assert place(node("a", capacity=1) + node("b"), [session("a"), session("b"), session("b")], 9).node == "b"


def test_a_worker_that_has_not_loaded_yet_is_not_chosen() -> None:
    starting = beat("a", "speech", info={"ready": False})
    with pytest.raises(ApiError) as caught:
        place([starting, beat("a", "inference"), beat("a", "rtc")], [], 4)
    assert caught.value.detail == "no speech worker is ready"


def test_only_inference_workers_that_serve_the_model_count() -> None:
    other = node("a", info={"models": [{"id": "other", "connected": True}]})
    assert place(other + node("b"), [session("b")], 4, "portrait").node == "b"


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, True),
        ({"models": []}, True),
        ({"models": [{"id": "portrait", "connected": True}]}, True),
        ({"models": [{"id": "portrait", "connected": False}]}, False),
        ({"models": [{"id": "other", "connected": True}]}, False),
    ],
)
def test_a_worker_that_is_still_loading_may_serve_any_model(info: dict[str, object], expected: bool) -> None:
    assert serves(beat("a", "inference", info=info), "portrait") is expected


def test_a_model_gets_no_more_sessions_than_it_was_measured_to_serve() -> None:
    status = {"id": "portrait", "connected": True, "max_sessions": 2}
    workers = node("a", info={"models": [status]})
    assert place(workers, [session("a")], 9, "portrait").node == "a"
    with pytest.raises(ApiError) as caught:
        place(workers, [session("a"), session("a")], 9, "portrait")
    assert caught.value.code == "at_capacity"
    assert caught.value.detail.endswith("as many as the model portrait was measured to serve there: 2")
