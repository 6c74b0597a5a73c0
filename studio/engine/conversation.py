"""One base model with adapters that come and go while the base stays loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from studio.core.mixing import Mix
from studio.engine import room
from studio.engine.beside import attach, refuse_another_base, refuse_biases
from studio.engine.folded import Fold, OfFolder, Places, Unfoldable, Weights
from studio.engine.live_mix import Changing, FoldedMix, LiveMix
from studio.engine.prefix import Prefixes
from studio.library import adapter_files, mixing

BARE = ""
"""Names the bare base among the sides of a request."""


class Speaker:
    """A base model and the voices that it can speak with, each known by its side.

    A side is an adapter's folder, one that stands for a mix (`mixing.draft`), or `BARE`. Its voice
    is folded into weights of its own where `fold` allows it and there is room (`folded.py`); else
    PEFT adds it at every layer, which is slower and takes next to no memory.
    """

    def __init__(
        self,
        folder: Path,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        fold: bool = True,
    ) -> None:
        self.tokenizer = tokenizer
        self.base = model
        self.prefixes = Prefixes()
        self._model: Any = model
        self._folder = folder
        self._fold = fold
        self._places = Places(model)
        self._tied = bool(model.config.get_text_config().tie_word_embeddings)
        self._folded: dict[str, Weights] = {}
        self._names: dict[str, str] = {}
        self._mixes: dict[str, Changing] = {}
        self._order: list[str] = []
        self._loaded = 0

    @property
    def model(self) -> Any:
        """The model to call: the base, or PEFT's model around it while adapters lie beside."""
        return self._model

    @property
    def adapters(self) -> tuple[str, ...]:
        """The folders of the adapters held, in the order they came."""
        return tuple(self._order)

    @property
    def context_length(self) -> int:
        """Tokens the base was made for; 0 where its config doesn't say."""
        config = self.base.config.get_text_config()
        return int(getattr(config, "max_position_embeddings", 0) or 0)

    def own_bytes(self, side: str) -> int:
        """What the weights of a folded voice take beside the base's; 0 for one that isn't."""
        weights = self._folded.get(side, {}).values()
        return sum(each.nbytes for each in {id(one): one for one in weights}.values())

    @staticmethod
    def template(side: str) -> str:
        """The chat template that an adapter was trained with; "" for the base's own."""
        file = Path(side) / "chat_template.jinja"
        return file.read_text("utf-8") if side != BARE and file.is_file() else ""

    def hold(self, folders: Sequence[str]) -> None:
        """Hold exactly these adapters; the base isn't touched.

        Raises StudioError for the first that doesn't fit; those that do stay.
        """
        wanted = [folder for folder in folders if folder != BARE]
        for folder in wanted:
            if not mixing.is_draft(Path(folder)):
                adapter_files.check_shapes(Path(folder), self._folder)
        self._turn_into(wanted)
        for folder in [held for held in self._order if held not in wanted]:
            self._drop(folder)  # first, for the room that it gives back
        for folder in wanted:
            self.load(folder)

    def load(self, folder: str) -> None:
        """Load an adapter unless it is held. Raises StudioError when it doesn't fit the base."""
        if folder in self._order:
            return
        path = Path(folder)
        if mixing.is_draft(path):
            self._put_on(folder)
            return
        adapter_files.check_shapes(path, self._folder)
        refuse_another_base(self.base, path)
        if weights := self._fold_if_it_fits(path):
            self._folded[folder] = weights
        else:
            refuse_biases(path)
            self._lay_beside(folder)
        self._order.append(folder)

    def need(self, sides: Sequence[str]) -> None:
        """Load those of these sides that aren't held; a mix that is on none of them any more
        turns into another of the same adapters. Raises StudioError."""
        self._turn_into(sides)
        for side in sides:
            if side != BARE:
                self.load(side)

    @contextlib.contextmanager
    def speaking(self, side: str) -> Iterator[Any]:
        """The model as it speaks on this side (`BARE`: without any adapter)."""
        with self._places.holding(self._folded.get(side, {})), self._beside(side) as model:
            yield model

    @contextlib.contextmanager
    def _beside(self, side: str) -> Iterator[Any]:
        if not self._names:
            yield self._model
        elif side in self._names:
            self._model.set_adapter(self._names[side], inference_mode=True)
            yield self._model
        else:
            # disable_adapter() inspects every layer first, four times as slow as the switch itself
            self._model.base_model.disable_adapter_layers()
            try:
                yield self._model
            finally:
                self._model.base_model.enable_adapter_layers()

    def _lay_beside(self, folder: str) -> None:
        """Have PEFT add this adapter at every layer.

        PEFT wants trained tokens of every adapter that comes after one with such, so that those
        that have them are put on last.
        """
        later = [] if _trains_tokens(folder) else [s for s in self._names if _trains_tokens(s)]
        for other in later:
            self._take_off(other)
        try:
            self._attach(folder)
        finally:
            for other in later:
                self._attach(other)

    def _attach(self, folder: str) -> None:
        name = f"adapter_{self._loaded}"
        self._loaded += 1
        self._model = attach(self._model, Path(folder), name)
        self._names[folder] = name

    def _take_off(self, side: str) -> None:
        name = self._names.pop(side)
        if not self._names:
            self._model = self._model.unload()
        else:
            self._model.set_adapter(next(iter(self._names.values())), inference_mode=True)
            self._model.delete_adapter(name)

    def _fold_if_it_fits(self, path: Path) -> Weights | None:
        if not self._fold:
            return None
        try:
            fold = Fold(self._places, OfFolder(path), self._tied)
            return fold.make() if fold.bytes <= room.spare(self.base.device) else None
        except Unfoldable:
            return None

    def _turn_into(self, sides: Sequence[str]) -> None:
        """Have live mixes that nobody wants become those that are wanted."""
        for side in sides:
            if side in self._order or side == BARE or not mixing.is_draft(Path(side)):
                continue
            recipe = mixing.read(Path(side))
            idle = (mix for mix in self._mixes if mix not in sides)
            old = next((mix for mix in idle if self._mixes[mix].can_become(recipe)), None)
            if old is None:
                continue
            try:
                self._mixes[old].change(recipe)
            except Exception as error:
                self._drop(old)  # its weights may be half of one mix and half of the other
                if isinstance(error, Unfoldable):
                    continue
                raise
            holders: tuple[dict[str, Any], ...] = (self._mixes, self._folded, self._names)
            for held in holders:
                if old in held:
                    held[side] = held.pop(old)
            self._order[self._order.index(old)] = side
            self.prefixes.forget(old)

    def _put_on(self, side: str) -> None:
        """A mix, folded or beside the base; either way its weights can change in place."""
        recipe = mixing.read(Path(side))
        for one in recipe.adapters:
            adapter_files.check_shapes(Path(one.adapter), self._folder)
        if not self._fold_mix(side, recipe):
            name = f"adapter_{self._loaded}"
            self._loaded += 1
            mix = LiveMix(self._model, name, recipe)
            self._model = mix.model
            self._mixes[side], self._names[side] = mix, name
        self._order.append(side)

    def _fold_mix(self, side: str, recipe: Mix) -> bool:
        """Whether there is room for weights of its own, which it speaks with then."""
        if not self._fold:
            return False
        try:
            mix = FoldedMix(self._places, recipe, self._tied)
            if mix.bytes > room.spare(self.base.device):
                return False
            self._folded[side] = mix.make()
        except Unfoldable:
            return False
        self._mixes[side] = mix
        return True

    def _drop(self, folder: str) -> None:
        self._mixes.pop(folder, None)
        self._order.remove(folder)
        self.prefixes.forget(folder)
        if self._folded.pop(folder, None) is None:
            self._take_off(folder)


def _trains_tokens(side: str) -> bool:
    folder = Path(side)
    if mixing.is_draft(folder):
        return False
    return bool(adapter_files.read_config(folder).whole.get("trainable_token_indices"))
