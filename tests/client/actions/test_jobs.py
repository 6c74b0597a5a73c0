"""Following a job: what is ordered arrives, whoever dies meanwhile."""

from __future__ import annotations

from pathlib import Path

import psutil

from studio.client.actions.jobs import wait
from studio.client.keeper import Keeper
from studio.core import commands
from studio.core.commands import AnyCommand
from tests.support import keeping
from tests.support.keeping import Bench


def test_an_order_reaches_the_engine_though_the_keeper_dies_with_it(
    bench: Bench, keeper: Keeper, run: Path
) -> None:
    keeper.start(run)
    orders: list[AnyCommand] = [commands.Stop()]
    steps: list[object] = []

    def order() -> AnyCommand | None:
        if not orders or len(steps) < 5:
            return None
        psutil.Process(keeper.welcome.pid).kill()
        keeping.wait(lambda: keeping.gone(keeper.welcome.pid))
        return orders.pop()

    assert wait(keeper, run, 0, steps.append, order).state.state == "stopped"


def test_an_order_to_a_job_that_has_just_ended_is_no_error(
    bench: Bench, keeper: Keeper, run: Path
) -> None:
    keeper.start(run)
    ear = keeping.Ear(keeper, run)
    keeper.tell(run, commands.Stop())
    ear.to_end()
    orders: list[AnyCommand] = [commands.Stop()]
    state = wait(keeper, run, 0, orders=lambda: orders.pop() if orders else None).state
    assert (state.state, orders) == ("stopped", [])
