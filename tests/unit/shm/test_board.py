"""The blackboard: generation, cursor, marks."""

import asyncio
import struct

import pytest

from shm import Board, Cursor, Mark, MarkKind, Writer


@pytest.fixture
def boards(tmp_path):
    path = tmp_path / "board"
    made = [Board(path, writer) for writer in (Writer.SPEECH, Writer.INFERENCE, Writer.RTC)]
    yield made
    for board in made:
        board.close()


def test_whoever_hears_of_a_generation_first_tells_all(boards):
    speech, inference, rtc = boards
    assert inference.raise_generation(3)
    assert speech.generation == inference.generation == rtc.generation == 3
    assert not rtc.raise_generation(3)


def test_a_generation_never_falls(boards):
    speech, inference, rtc = boards
    rtc.raise_generation(9)
    assert not speech.raise_generation(4)
    assert not rtc.raise_generation(8)
    assert inference.generation == 9


def test_the_cursor_is_read_as_it_was_written(boards):
    speech, _, rtc = boards
    assert speech.cursor == Cursor(0, 0, 0)
    rtc.write_cursor(Cursor(5, 2, 96_000))
    assert speech.cursor == Cursor(5, 2, 96_000)


def test_a_cursor_whose_writer_stopped_half_way_is_not_taken(boards):
    speech, _, rtc = boards
    rtc.write_cursor(Cursor(5, 2, 96_000))
    assert speech.cursor.sample == 96_000
    struct.pack_into("<Q", rtc._segment.memory, 256, 6)  # a new generation beside the old check
    assert speech.cursor == Cursor(5, 2, 96_000)


def test_a_cursor_torn_between_two_turns_is_not_taken(boards):
    speech, _, rtc = boards
    torn = 0
    for before in (Cursor(2, 1, 960), Cursor(4, 3, 0), Cursor(6, 1, 48_000)):
        for after in (Cursor(before.generation + 1, 0, 0), Cursor(before.generation + 1, before.fragment - 1, 960)):
            rtc.write_cursor(after)
            rtc._words[32], rtc._words[33] = before.generation, before.fragment  # read before, the rest read after
            torn += speech.cursor.generation == before.generation
    assert torn == 0


async def test_marks_arrive_in_order_and_wake_their_reader(boards):
    speech, _, rtc = boards
    woken = asyncio.Event()
    received: list[Mark] = []

    def wake() -> None:
        received.extend(speech.read_marks())
        woken.set()

    speech.listen(wake)
    sent = [Mark(MarkKind.FRAGMENT_STARTED, 4, n, n * 1920, 1000.5 + n) for n in range(5)]
    for mark in sent:
        rtc.mark(mark)
    await asyncio.wait_for(woken.wait(), 5)
    assert received + speech.read_marks() == sent


def test_a_reader_that_is_gone_does_not_block_the_playout(boards):
    *_, rtc = boards
    for n in range(5000):
        rtc.mark(Mark(MarkKind.PROGRESS, 1, 0, n, 0.0))
    marks = boards[0].read_marks()
    assert 1000 < len(marks) < 5000
    assert [mark.sample for mark in marks] == list(range(len(marks)))
