"""What the user asked for, as the loop sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.core import commands
from studio.engine.channel import Channel
from studio.engine.control import CancelledByUserError, Control
from studio.library import jobs


def test_stop_stays_and_save_is_taken_once(tmp_path: Path) -> None:
    control = Control(Channel(tmp_path))
    jobs.tell(tmp_path, commands.Save())
    jobs.tell(tmp_path, commands.Sample())
    jobs.tell(tmp_path, commands.Stop())
    control.listen()
    assert control.leaving
    assert control.take_save()
    assert not control.take_save()
    assert control.take_sample()
    assert not control.take_sample()
    control.listen()
    assert control.stop
    assert not control.pause


def test_cancel_ends_it_at_once(tmp_path: Path) -> None:
    control = Control(Channel(tmp_path))
    jobs.tell(tmp_path, commands.Cancel())
    with pytest.raises(CancelledByUserError):
        control.listen()


def test_the_latest_word_counts_and_the_users_outweighs_the_studios(tmp_path: Path) -> None:
    control = Control(Channel(tmp_path))
    jobs.tell(tmp_path, commands.Pause(reason="game"))
    control.listen()
    assert (control.pause, control.reason) == (True, "game")
    jobs.tell(tmp_path, commands.Pause())
    jobs.tell(tmp_path, commands.Pause(reason="heat"))
    control.listen()
    assert (control.pause, control.reason) == (True, "")
    jobs.tell(tmp_path, commands.Stop())
    jobs.tell(tmp_path, commands.Pause(reason="heat"))
    control.listen()
    assert (control.stop, control.pause) == (True, False)
    jobs.tell(tmp_path, commands.Pause())
    control.listen()
    assert (control.stop, control.pause) == (False, True)
