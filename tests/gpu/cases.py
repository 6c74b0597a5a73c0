"""Every way through the engine that a card opens, as a list of small cases."""

from __future__ import annotations

from typing import Literal

import msgspec

from studio.core import accelerations

ATTENTIONS = ("", "sdpa", "eager", "flash_attention_2", "flex_attention")
OPTIMIZERS = ("adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "adafactor")


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One job on one model. `attention` "" is what the engine decides by itself; `loss` "whole"
    makes all logits at once, as models do that can't be taken apart. `without` is an acceleration
    (core/accelerations.py) that is switched off."""

    job: Literal["train", "merge", "chat"] = "train"
    size: str
    method: Literal["lora", "qlora", "full"] = "lora"
    attention: str = ""
    loss: Literal["auto", "whole"] = "auto"
    optimizer: str = "adamw"
    checkpointing: Literal["auto", "yes", "no"] = "auto"
    without: str = ""
    packing: Literal["auto", "yes", "no"] = "auto"
    length: int = 512
    rows: int = 8

    @property
    def name(self) -> str:
        """What sets it apart."""
        usual = Case(size=self.size)
        told = [
            f"{field}={getattr(self, field)}"
            for field in self.__struct_fields__
            if field != "size" and getattr(self, field) != getattr(usual, field)
        ]
        return " ".join([self.size, self.method, *told])


def of_size(size: str, length: int, *, every: bool) -> list[Case]:
    """The cases of one model; of the large ones only those that size itself makes different."""
    plain = Case(size=size, length=length)
    found = [msgspec.structs.replace(plain, method=method) for method in ("lora", "qlora", "full")]
    if not every:
        recomputed = {"checkpointing": "yes"}
        paged = {"method": "qlora", "optimizer": "paged_adamw_8bit"}
        more = ({"method": "qlora", **recomputed}, paged, {"method": "full", **recomputed, **paged})
        found += [msgspec.structs.replace(plain, **changes) for changes in more]
        return [case for case in found if size != "8b" or case.method != "full"]
    changes: list[dict[str, str]] = [{"attention": kind} for kind in ATTENTIONS[1:]]
    changes += [{"loss": "whole"}, {"checkpointing": "yes"}, {"packing": "yes"}, {"packing": "no"}]
    changes += [{"without": name} for name in accelerations.NAMES]
    changes += [{"optimizer": kind} for kind in OPTIMIZERS[1:]]
    changes += [{"method": "full", "optimizer": kind} for kind in OPTIMIZERS[1:]]
    found += [msgspec.structs.replace(plain, **change) for change in changes]  # type: ignore[arg-type]
    jobs = ("merge", "chat")
    return found + [msgspec.structs.replace(plain, job=job) for job in jobs]
