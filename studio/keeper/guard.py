"""Pauses trainings for a game, heat, battery or the hour, and takes them up again."""

from __future__ import annotations

import contextlib
import datetime
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from studio.core import commands, events, guard
from studio.core.commands import AnyCommand
from studio.core.errors import StudioError
from studio.core.guard import Holding, Readings, Reason, Rules
from studio.keeper.engine import Engine
from studio.keeper.engines import Engines
from studio.keeper.foreign import Foreign
from studio.keeper.machine import Cards
from studio.keeper.overseer import Overseer
from studio.keeper.system import System
from studio.library import jobs, runs, settings
from studio.library.files import write_whole
from studio.library.folders import Home

_log = logging.getLogger(__name__)

LOOK_SECONDS, RETRY_SECONDS = 1.0, 30.0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the next keeper can't learn from the runs: what others held of the cards before they
    took more, and the reasons that a user has overridden for a run."""

    baseline: dict[str, int] = {}
    overridden: dict[str, tuple[Reason, ...]] = {}


class Guard(Overseer):
    """A run that it paused waits: its state says so, and it goes on once no reason holds that its
    user has not overridden. `pace` multiplies all times, `clock` is the wall's."""

    def __init__(
        self,
        home: Home,
        engines: Engines,
        system: System,
        *,
        pace: float = 1.0,
        clock: Callable[[], datetime.datetime] = datetime.datetime.now,
    ) -> None:
        self._home = home
        self._engines = engines
        self._system = system
        self._pace = pace
        self._clock = clock
        self._cards = Cards()
        self._foreign = Foreign(pace)
        self._rules = Rules()
        self._rules_of: int | None = None
        self._now = Holding()
        self._look_at = 0.0
        self._training: dict[Path, Engine] = {}
        self._waiting: dict[Path, float] = {}
        self._to_stay: set[Engine] = set()
        self._overridden: dict[Path, set[Reason]] = {}
        self._kept = Kept()
        self._began = False

    @property
    def busy(self) -> bool:  # type: ignore[override]
        """While a run waits."""
        return bool(self._waiting)

    @property
    def holding(self) -> str:  # type: ignore[override]
        """The first reason that holds."""
        return self._now.reasons[0] if self._now.reasons else ""

    def tick(self, now: float) -> None:
        """See which runs began or ended, look at the machine about every second, and act."""
        if not self._began:
            self._begin(now)
        moved = self._follow()
        if moved or now >= self._look_at:
            self._look_at = now + LOOK_SECONDS * self._pace
            self._read_rules()
            self._stay_awake()
            self._look(now)
        self._pause_what_must()
        self._resume_what_may(now)

    def started(self, folder: Path) -> None:
        """Whoever takes a run up knows of the reason that holds: for this run it no longer counts,
        until it has ended once."""
        self._waiting.pop(folder, None)
        if self._now.reasons and _takes_up(folder):
            self._overridden[folder] = set(self._now.reasons)
            self._keep()

    def told(self, folder: Path, command: AnyCommand) -> bool:
        """A pause is a wish to stay paused, also for a run that waits or is about to."""
        ends = isinstance(command, commands.Pause | commands.Stop | commands.Cancel)
        if ends and (engine := self._training.get(folder)):
            self._to_stay.add(engine)
        if folder not in self._waiting or not isinstance(command, commands.Pause):
            return False
        self._leave_paused(folder)
        del self._waiting[folder]
        return True

    def leave(self) -> None:
        """The machine may sleep; whoever keeps the home next reads the runs anew."""
        self._system.let_sleep()

    def _begin(self, now: float) -> None:
        """Learn from the runs what waits, and that its reasons may still hold."""
        self._began = True
        self._kept = _load(self._home)
        self._find_waiting(now)
        self._overridden = {
            engine.folder: set(self._kept.overridden[engine.folder.name])
            for engine in self._engines.at_work()
            if engine.folder.name in self._kept.overridden
        }
        reasons = {runs.state_of(folder).pause_reason for folder in self._waiting}
        reasons.update(*self._overridden.values())
        self._now = Holding(reasons=tuple(each for each in guard.REASONS if each in reasons))
        if "game" in reasons:
            self._foreign.restore(self._kept.baseline)

    def _find_waiting(self, now: float) -> None:
        for row in runs.listing(self._home):
            if guard.waits(row.state) and not row.living:
                self._waiting.setdefault(row.path, now)

    def _follow(self) -> bool:
        """Whether a training began or ended; one that ended may wait from now on."""
        training = {e.folder: e for e in self._engines.at_work() if e.kind == "train"}
        if training == self._training:
            return False
        before, self._training = self._training, training
        for folder, engine in before.items():
            if training.get(folder) is not engine:
                self._ended(folder, engine)
        for folder in training:
            self._waiting.pop(folder, None)
        return True

    def _ended(self, folder: Path, engine: Engine) -> None:
        if guard.waits(runs.state_of(folder)):
            if engine in self._to_stay:
                self._leave_paused(folder)
            else:
                self._waiting[folder] = 0.0
        self._to_stay.discard(engine)

    def _read_rules(self) -> None:
        try:
            written = self._home.settings.stat().st_mtime_ns
        except OSError:
            written = None
        if written != self._rules_of:
            self._rules_of = written
            self._rules = settings.load(self._home).guard

    def _stay_awake(self) -> None:
        if self._training and self._rules.keep_awake:
            self._system.keep_awake()
        else:
            self._system.let_sleep()

    def _look(self, now: float) -> None:
        before = self._now.reasons
        self._now = guard.look(self._now, self._rules, self._readings(now), now, self._pace)
        if self._now.reasons == before:
            return
        _log.info("what speaks against training: %s", ", ".join(self._now.reasons) or "nothing")
        for folder, reasons in list(self._overridden.items()):
            self._overridden[folder] = reasons.intersection(self._now.reasons)
            if not self._overridden[folder]:
                del self._overridden[folder]
        self._keep()

    def _readings(self, now: float) -> Readings:
        rules = self._rules
        uses = self._cards.uses() if rules.game_mode or rules.hot_celsius else ()
        held = "game" in self._now.reasons
        if not (self._training or self._waiting or held):
            self._foreign.baseline.clear()
        known = [use.celsius for use in uses if use.celsius is not None]
        return Readings(
            clock=self._clock().time(),
            grown_bytes=self._foreign.grown(uses, self._engines.at_work(), now, held),
            celsius=max(known, default=None),
            on_battery=self._system.on_battery() if rules.on_battery else None,
        )

    def _pause_what_must(self) -> None:
        for folder, engine in self._training.items():
            reason = self._reason_for(folder)
            if reason is not None and not engine.ending:
                with contextlib.suppress(StudioError):  # it has just ended
                    self._engines.tell(folder, commands.Pause(reason=reason))

    def _resume_what_may(self, now: float) -> None:
        for folder, due in list(self._waiting.items()):
            if now < due or self._reason_for(folder) is not None:
                continue
            del self._waiting[folder]
            if not folder.is_dir():  # renamed or deleted
                self._find_waiting(now)
                continue
            if not guard.waits(runs.state_of(folder)) or self._engines.living(folder):
                continue
            try:
                self._engines.start(folder, commands.Train(resume=True), None)
            except StudioError as error:
                _log.warning("%s can't go on yet: %s", folder.name, error)
                self._waiting[folder] = now + RETRY_SECONDS * self._pace

    def _reason_for(self, folder: Path) -> Reason | None:
        counts = [r for r in self._now.reasons if r not in self._overridden.get(folder, ())]
        return counts[0] if counts else None

    def _leave_paused(self, folder: Path) -> None:
        """Say in its log that its user wants it paused."""
        state = runs.state_of(folder)
        jobs.append(folder, events.Paused(checkpoint=state.checkpoint, step=state.step))
        jobs.append(folder, events.Ended())

    def _keep(self) -> None:
        overridden = {path.name: tuple(found) for path, found in self._overridden.items()}
        kept = Kept(baseline=dict(self._foreign.baseline), overridden=overridden)
        if kept != self._kept:
            self._kept = kept
            with contextlib.suppress(OSError):
                write_whole(_file(self._home), msgspec.json.encode(kept))


def _takes_up(folder: Path) -> bool:
    try:
        job = jobs.job_of(folder)
    except (OSError, msgspec.MsgspecError):
        return False
    return isinstance(job, commands.Train) and job.resume


def _file(home: Home) -> Path:
    return home.keeper / "guard.json"


def _load(home: Home) -> Kept:
    try:
        return msgspec.json.decode(_file(home).read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return Kept()
