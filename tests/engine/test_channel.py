"""The engine's side of the job folder."""

from __future__ import annotations

from pathlib import Path

from studio.core import commands, events
from studio.engine.channel import Channel
from studio.library import jobs
from studio.library.files import append_line
from studio.library.folders import JobFolder


def test_events_are_stamped_and_whole_lines(tmp_path: Path) -> None:
    channel = Channel(tmp_path)
    channel.stage("Loading the model", 0.5)
    channel.note("Ünïcode\nand a line break")
    heard, _ = jobs.read_events(tmp_path)
    assert [type(event) for event in heard] == [events.Stage, events.Note]
    assert all(event.time > 1e9 for event in heard)


def test_only_commands_given_since_the_start_are_heard(tmp_path: Path) -> None:
    jobs.tell(tmp_path, commands.Stop())
    channel = Channel(tmp_path)
    assert channel.commands() == []
    jobs.tell(tmp_path, commands.Save())
    jobs.tell(tmp_path, commands.Pause())
    assert channel.commands() == [commands.Save(), commands.Pause()]
    assert channel.commands() == []


def test_half_a_command_waits_for_its_end(tmp_path: Path) -> None:
    channel = Channel(tmp_path)
    path = JobFolder(tmp_path).commands
    line = commands.encode(commands.Stop())
    path.write_bytes(line[:5])
    assert channel.commands() == []
    path.write_bytes(line + b"\n")
    assert channel.commands() == [commands.Stop()]


def test_a_command_that_cannot_be_read_is_said_and_passed_over(tmp_path: Path) -> None:
    channel = Channel(tmp_path)
    append_line(JobFolder(tmp_path).commands, b'{"command": "explode"}')
    jobs.tell(tmp_path, commands.Stop())
    assert channel.commands() == [commands.Stop()]
    note = jobs.read_events(tmp_path)[0][0]
    assert isinstance(note, events.Note)
    assert note.severity == "warning"
