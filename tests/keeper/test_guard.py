"""Runs pause by themselves for heat, battery or the hour, and go on by themselves."""

from __future__ import annotations

import datetime
from pathlib import Path

from tests.keeper.watching import Watch
from tests.support.nvml import FakeCards


def test_heat(watch: Watch, fake_cards: FakeCards, run: Path) -> None:
    watch.rule(hot_celsius=83)
    watch.start(run)
    fake_cards.set(temperature=84)
    watch.pass_time(9)
    assert watch.goes_on(run)
    watch.pass_time(2)
    assert watch.paused(run) == "heat"
    fake_cards.set(temperature=74)
    watch.pass_time(300)
    assert watch.waits(run)
    fake_cards.set(temperature=73)
    watch.pass_time(61)
    watch.until(lambda: watch.stepped(run))


def test_who_leaves_lets_the_machine_sleep(watch: Watch, run: Path) -> None:
    watch.start(run)
    assert watch.system.awake
    watch.guard.leave()
    assert not watch.system.awake


def test_battery(watch: Watch, run: Path) -> None:
    watch.rule(on_battery=True)
    watch.start(run)
    watch.system.battery = True
    watch.pass_time(11)
    assert watch.paused(run) == "battery"
    assert not watch.system.awake
    watch.system.battery = False
    watch.pass_time(11)
    watch.until(lambda: watch.stepped(run))
    assert watch.system.awake


def test_hours(watch: Watch) -> None:
    watch.rule(hours="22:00-08:00")
    first, second = watch.bench.run(""), watch.bench.run("")
    watch.start(first)
    watch.start(second)
    watch.wall = datetime.datetime(2026, 11, 23, 7, 59, 50)
    watch.pass_time(9)
    assert watch.goes_on(first)
    watch.pass_time(1)
    assert {watch.paused(first), watch.paused(second)} == {"hours"}
    watch.wall = datetime.datetime(2026, 11, 23, 21, 59, 50)
    watch.pass_time(9)
    assert not watch.engines.rows()
    watch.pass_time(1)
    watch.until(lambda: watch.stepped(first) and watch.stepped(second))


def test_a_run_goes_on_only_when_no_reason_is_left(
    watch: Watch, fake_cards: FakeCards, run: Path
) -> None:
    watch.rule(on_battery=True, hot_celsius=80)
    watch.start(run)
    fake_cards.set(temperature=90)
    watch.pass_time(11)
    assert watch.paused(run) == "heat"
    watch.system.battery = True
    watch.pass_time(11)
    fake_cards.set(temperature=40)
    watch.pass_time(120)
    assert watch.guard.holding == "battery"
    assert watch.waits(run)
    watch.system.battery = False
    watch.pass_time(11)
    watch.until(lambda: watch.stepped(run))


def test_a_new_rule_counts_at_once_and_one_switched_off_lets_go(watch: Watch, run: Path) -> None:
    watch.start(run)
    watch.pass_time(2)
    watch.rule(hours="10:00-11:00")
    watch.pass_time(1)
    assert watch.paused(run) == "hours"
    watch.rule(hours="")
    watch.pass_time(1)
    watch.until(lambda: watch.stepped(run))


def test_a_card_that_is_lost_stops_nothing(watch: Watch, fake_cards: FakeCards, run: Path) -> None:
    watch.rule(game_mode=True, hot_celsius=80)
    watch.start(run)
    fake_cards.break_down()
    watch.pass_time(120)
    assert watch.goes_on(run)
