"""Reading a log while it grows, whatever was written into it."""

from __future__ import annotations

from pathlib import Path

from studio.core import events
from studio.keeper.watch import LONGEST_LINE, Cursor
from studio.library import jobs
from studio.library.folders import JobFolder


def test_each_event_once_in_order(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path)
    assert cursor.more() == []
    for number in range(100):
        jobs.append(tmp_path, events.Note(text=str(number), time=1.0))
    found: list[events.AnyEvent] = []
    while more := cursor.more(chunk=64):
        assert len(more) < 10
        found += more
    assert [event.text for event in found if isinstance(event, events.Note)] == [
        str(number) for number in range(100)
    ]
    assert cursor.at_end()


def test_a_line_being_written_waits(tmp_path: Path) -> None:
    log = JobFolder(tmp_path).events
    line = events.encode(events.Note(text="whole", time=1.0))
    cursor = Cursor(tmp_path)
    log.write_bytes(line[:10])
    assert cursor.more() == []
    assert not cursor.at_end()
    log.write_bytes(line + b"\n")
    assert [type(event) for event in cursor.more()] == [events.Note]


def test_a_line_longer_than_a_chunk(tmp_path: Path) -> None:
    text = "x" * 5000
    jobs.append(tmp_path, events.Note(text=text, time=1.0))
    (event,) = Cursor(tmp_path).more(chunk=64)
    assert isinstance(event, events.Note)
    assert event.text == text


def test_endless_rubbish_is_skipped(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path)
    JobFolder(tmp_path).events.write_bytes(b"y" * (LONGEST_LINE + 1))
    (event,) = cursor.more(LONGEST_LINE)
    assert isinstance(event, events.Note)
    assert event.severity == "warning"


def test_whether_the_job_ended(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path)
    assert not cursor.behind_end()
    jobs.append(tmp_path, events.Ended(code=0))
    cursor.more()
    assert cursor.behind_end()
    jobs.append(tmp_path, events.Started(pid=1))
    cursor.more()
    assert not cursor.behind_end()
