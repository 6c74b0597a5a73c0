"""Everybody who can answer in one conversation: a base with its adapters, and GGUF files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from studio.core.errors import StudioError
from studio.engine import room
from studio.engine.conversation import BARE, Speaker
from studio.engine.talkers import OfSpeaker, Talker
from studio.library import gguf_files

if TYPE_CHECKING:
    from studio.engine.llama_cpp.talker import OfGguf


class Cast:
    """Sides as in core.commands.Say: an adapter's folder, a GGUF file, or "" for the model itself,
    which may be a GGUF file too; then there is no speaker, and no adapter can be put on."""

    def __init__(self, model: Path, speaker: Callable[[], Speaker]) -> None:
        self._model = str(model)
        self._files: dict[str, OfGguf] = {}
        self.speaker: Speaker | None = None
        if gguf_files.names_file(self._model):
            self._open(self._model)
        else:
            self.speaker = speaker()

    @property
    def sides(self) -> tuple[str, ...]:
        """Who is held beside the model itself, in the order they came."""
        held = self.speaker.adapters if self.speaker else ()
        return (*held, *(file for file in self._files if file != self._model))

    @property
    def base_bytes(self) -> int:
        """What the model itself takes."""
        if self.speaker is None:
            return self._files[self._model].bytes
        return int(self.speaker.base.get_memory_footprint())

    def own_bytes(self, side: str) -> int:
        """What a side takes beside the model; 0 for an adapter that is added at every layer."""
        if side in self._files:
            return self._files[side].bytes
        return self.speaker.own_bytes(side) if self.speaker else 0

    def hold(self, sides: Sequence[str]) -> None:
        """Hold exactly these; the model itself isn't touched. Raises StudioError for the first
        that doesn't fit; those that do stay."""
        files, others = _parted(sides)
        for gone in [file for file in self._files if file not in (*files, self._model)]:
            self._files.pop(gone).close()
        self._refuse(others)
        if self.speaker:
            self.speaker.hold(others)
        for file in files:
            self._open(file)

    def need(self, sides: Sequence[str]) -> None:
        """Hold these too. Raises StudioError."""
        files, others = _parted(sides)
        self._refuse(others)
        if self.speaker:
            self.speaker.need(others)
        for file in files:
            self._open(file)

    def talker(self, side: str) -> Talker:
        """Who answers on a side that is held."""
        file = side or self._model
        if file in self._files:
            return self._files[file]
        assert self.speaker is not None
        return OfSpeaker(self.speaker, side)

    def make_room(self) -> None:
        """Rather read again than run out of memory."""
        if speaker := self.speaker:
            while room.spare(speaker.base.device) == 0 and speaker.prefixes.give_back():
                pass

    def forget(self) -> None:
        """Give back what was read: memory may have run out."""
        if self.speaker:
            self.speaker.prefixes.clear()

    def _open(self, file: str) -> None:
        if file not in self._files:
            from studio.engine.llama_cpp.talker import OfGguf

            self._files[file] = OfGguf(Path(file))

    def _refuse(self, adapters: Sequence[str]) -> None:
        named = [each for each in adapters if each != BARE]
        if named and self.speaker is None:
            raise StudioError(
                "No adapters on a GGUF file",
                f"{Path(named[0]).name} can't be put on {Path(self._model).name}.",
                "Choose the model that it was trained on, and the GGUF file as a column beside it.",
            )


def _parted(sides: Sequence[str]) -> tuple[list[str], list[str]]:
    """GGUF files, and all others."""
    files = [side for side in sides if gguf_files.names_file(side)]
    return files, [side for side in sides if side not in files]
