"""Every way through the engine that a card opens, as a list of small cases."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from studio.core import accelerations

ATTENTIONS = ("", "sdpa", "eager", "flash_attention_2", "flex_attention")
OPTIMIZERS = ("adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "adafactor")


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One job on one model. `attention` "" is what the engine decides by itself; `loss` "whole"
    makes all logits at once, as models do that can't be taken apart. `without` is an acceleration
    (core/accelerations.py) that is switched off, `also` one that is asked for. `training` says
    more of the recipe's part of that name."""

    job: Literal["train", "merge", "chat"] = "train"
    size: str
    method: Literal["lora", "qlora", "full"] = "lora"
    attention: str = ""
    loss: Literal["auto", "whole"] = "auto"
    training: dict[str, Any] = {}
    without: str = ""
    also: str = ""
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
            if field not in ("size", "method", "training")
            and getattr(self, field) != getattr(usual, field)
        ]
        told += [f"{field}={value}" for field, value in self.training.items()]
        return " ".join([self.size, self.method, *told])

    @property
    def optimizer(self) -> str:
        """The optimizer of the recipe."""
        return str(self.training.get("optimizer", OPTIMIZERS[0]))


RECOMPUTED = {"gradient_checkpointing": "yes"}
PAGED = {"optimizer": "paged_adamw_8bit"}
COMPILED = ("pieces", "regions")
OFFLOADED = {"offload_activations": True}


def of_size(size: str, length: int, *, every: bool) -> list[Case]:
    """The cases of one model; of the large ones only those that size itself makes different."""
    plain = Case(size=size, length=length)
    early = {"optimizer_in_backward": True, "max_grad_norm": 0.0, "micro_batch_size": plain.rows}
    changes = [{"method": method} for method in ("lora", "qlora", "full")]
    changes += _every() if every else _large()
    changes.append({"method": "full", "training": early})
    made = [msgspec.structs.replace(plain, **change) for change in changes]
    return [case for case in made if size != "8b" or case.method != "full"]


def _every() -> list[dict[str, Any]]:
    """Each kind of attention, loss, packing and optimizer, each lever; less each acceleration."""
    changes: list[dict[str, Any]] = [{"attention": kind} for kind in ATTENTIONS[1:]]
    changes += [{"loss": "whole"}, {"packing": "yes"}, {"packing": "no"}]
    changes += [{"without": name} for name in accelerations.NAMES]
    changes += [{"also": name} for name in COMPILED]
    changes += [{"training": lever} for lever in (RECOMPUTED, OFFLOADED, RECOMPUTED | OFFLOADED)]
    changes += [
        {"method": method, "training": {"optimizer": kind}}
        for method in ("lora", "full")
        for kind in OPTIMIZERS[1:]
    ]
    changes += [{"method": "qlora", "training": PAGED}, {"method": "qlora", "without": "adapter"}]
    return changes + [{"job": job} for job in ("merge", "chat")]


def _large() -> list[dict[str, Any]]:
    """What is there for models that hardly fit."""
    levers = (RECOMPUTED, PAGED, RECOMPUTED | PAGED, OFFLOADED, RECOMPUTED | OFFLOADED)
    changes: list[dict[str, Any]] = [{"method": "qlora", "training": lever} for lever in levers]
    changes.append({"method": "full", "training": RECOMPUTED | PAGED})
    return changes + [{"job": job} for job in ("merge", "chat")]
