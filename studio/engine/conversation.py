"""One base model with adapters that come and go while the base stays loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from studio.core.errors import StudioError
from studio.engine import room
from studio.engine.folded import Fold, Places, Unfoldable, Weights
from studio.engine.live_mix import LiveMix
from studio.engine.prefix import Prefixes
from studio.library import adapter_files, mixing

BARE = ""
"""Names the bare base among the sides of a request."""


class Speaker:
    """A base model and the voices that it can speak with, each known by its side.

    A side is an adapter's folder, one that stands for a mix (`mixing.draft`), or `BARE`. An
    adapter's voice is folded into weights of its own where `fold` allows it and there is room
    (`folded.py`); else PEFT adds it at every layer, which is slower and takes next to no memory. A
    mix always lies beside, so that it can change at once.
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
        self._folded: dict[str, Weights] = {}
        self._names: dict[str, str] = {}
        self._mixes: dict[str, LiveMix] = {}
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
        _refuse_another_base(self.base, path)
        if weights := self._fold_if_it_fits(path):
            self._folded[folder] = weights
        else:
            _refuse_biases(path)
            name = f"adapter_{self._loaded}"
            self._loaded += 1
            self._model = attach(self._model, path, name)
            self._names[folder] = name
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

    def _fold_if_it_fits(self, path: Path) -> Weights | None:
        if not self._fold:
            return None
        tied = bool(self.base.config.get_text_config().tie_word_embeddings)
        try:
            fold = Fold(self._places, path, tied)
            return fold.make() if fold.bytes <= room.spare(self.base.device) else None
        except Unfoldable:
            return None

    def _turn_into(self, sides: Sequence[str]) -> None:
        """Have live mixes that nobody wants become those that are wanted."""
        for side in sides:
            if side in self._order or side == BARE or not mixing.is_draft(Path(side)):
                continue
            recipe = mixing.read(Path(side))
            idle = (held for held in self._mixes if held not in sides)
            old = next((held for held in idle if self._mixes[held].can_become(recipe)), None)
            if old is None:
                continue
            self._mixes[old].change(recipe)
            self._mixes[side] = self._mixes.pop(old)
            self._names[side] = self._names.pop(old)
            self._order[self._order.index(old)] = side
            self.prefixes.forget(old)

    def _put_on(self, side: str) -> None:
        """A mix lies beside the base, where its weights change in place."""
        name = f"adapter_{self._loaded}"
        self._loaded += 1
        recipe = mixing.read(Path(side))
        for one in recipe.adapters:
            adapter_files.check_shapes(Path(one.adapter), self._folder)
        mix = LiveMix(self._model, name, recipe)
        self._model = mix.model
        self._mixes[side], self._names[side] = mix, name
        self._order.append(side)

    def _drop(self, folder: str) -> None:
        self._mixes.pop(folder, None)
        self._order.remove(folder)
        self.prefixes.forget(folder)
        if self._folded.pop(folder, None) is not None:
            return
        name = self._names.pop(folder)
        if not self._names:
            self._model = self._model.unload()
        else:
            self._model.set_adapter(next(iter(self._names.values())), inference_mode=True)
            self._model.delete_adapter(name)


def attach(model: Any, folder: Path, name: str = "default") -> PeftModel:
    """The model with the adapter of this folder on it, ready to speak.

    PEFT passes over weights that find no place in the model; here that is a StudioError. So is a
    layer of the base that comes along with other weights than the base's: PEFT would put them
    into the base, which other adapters share.
    """
    _refuse_another_base(model, folder)
    options: dict[str, Any] = {"adapter_name": name, "torch_device": str(model.device)}
    if isinstance(model, PeftModel):
        model.load_adapter(str(folder), low_cpu_mem_usage=True, **options)
    else:
        model = PeftModel.from_pretrained(model, str(folder), low_cpu_mem_usage=True, **options)
    taken = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    given = set(adapter_files.read_tensors(folder))
    strays = {key for key in given ^ set(taken) if ".base_layer." not in key}
    if strays:
        raise StudioError(
            "An adapter that doesn't fit",
            f"{len(strays)} weights of {folder.name} have no place in the model, "
            f"{min(strays)} first.",
            "Choose the model that the adapter was trained on.",
        )
    model.set_adapter(name, inference_mode=True)
    ready: PeftModel = model.eval()
    return ready


def _refuse_biases(folder: Path) -> None:
    """PEFT would write them into the base, which other adapters share."""
    if adapter_files.read_config(folder).learns_biases:
        raise StudioError(
            "Trained biases need a 16-bit base",
            f"{folder.name} changes biases of the base, which the studio does only where its "
            "weights aren't quantized and there is room for a copy of what changes.",
            "Load the base in 16 bits.",
        )


def _refuse_another_base(model: Any, folder: Path) -> None:
    learnt = adapter_files.read_config(folder).learns_biases
    copies = [
        key
        for key in adapter_files.read_tensors(folder)
        if ".base_layer." in key and not (learnt and key.endswith(".bias"))
    ]
    if not copies:
        return
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    own: dict[str, Any] = {
        name.replace(".base_layer.", "."): each for name, each in base.named_parameters()
    }
    own |= {f"{end}.weight": base.get_output_embeddings().weight for end in adapter_files.HEADS}
    with safe_open(folder / adapter_files.WEIGHTS, "pt") as parts:
        for key in copies:
            weight = own.get(key.removeprefix(adapter_files.PREFIX).replace(".base_layer.", "."))
            if weight is None or not _equal(parts.get_tensor(key), weight):
                raise StudioError(
                    "An adapter with a base of its own",
                    f"{folder.name} brings weights of the base along that differ from the base's "
                    f"({key.removeprefix(adapter_files.PREFIX)}).",
                    "Choose the model that the adapter was trained on.",
                )


def _equal(given: torch.Tensor, weight: torch.Tensor) -> bool:
    return given.shape == weight.shape and torch.equal(given.to(weight), weight)
