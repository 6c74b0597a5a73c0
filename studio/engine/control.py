"""What the user asked for while the job runs, read between steps."""

from __future__ import annotations

from studio.core import commands
from studio.engine.channel import Channel


class CancelledByUserError(Exception):
    """The user wants this job to end and nothing of it kept."""


class Control:
    """The wishes heard so far. Stop and pause stay until the job ends; save and sample are
    taken once.

    Of stop and pause the latest counts. `reason` is why the studio itself asked for the pause, ""
    where the user did; what the user said outweighs it.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.stop = False
        self.pause = False
        self.reason = ""
        self._save = False
        self._sample = False

    def listen(self) -> None:
        """Read what is new. Raises CancelledByUserError where that is what was asked."""
        for command in self._channel.commands():
            match command:
                case commands.Cancel():
                    raise CancelledByUserError
                case commands.Stop():
                    self.stop, self.pause = True, False
                case commands.Pause():
                    self.pause_for(command.reason)
                case commands.Save():
                    self._save = True
                case commands.Sample():
                    self._sample = True

    def pause_for(self, reason: str) -> None:
        """Pause after this step; a reason doesn't change what the user asked for."""
        if reason and self.leaving:
            return
        self.stop, self.pause, self.reason = False, True, reason

    @property
    def leaving(self) -> bool:
        """Whether the job is to end after this step."""
        return self.stop or self.pause

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        wanted, self._save = self._save, False
        return wanted

    def take_sample(self) -> bool:
        """Whether answers to the fixed prompts were asked for since the last call."""
        wanted, self._sample = self._sample, False
        return wanted
