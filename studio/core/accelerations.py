"""What makes training faster without changing what is learnt, and where each comes in by itself."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from studio.core.errors import StudioError

COMPILER = "C++ compiler"
"""Stands for the compiler of this machine among the packages that are there."""
CAPABLE = (8, 0)
"""Compute capability from which cards have bfloat16, TF32 and FlashAttention 2."""


class Acceleration(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. `package` is the module that it needs beyond the studio's own, `on` the kind
    of device that it is for: any, a processor or a card of `capability` or newer. One that isn't
    `usual` comes in only where it was asked for."""

    name: str
    text: str
    on: str = "any"
    package: str = ""
    capability: tuple[int, int] = (0, 0)
    usual: bool = True


ALL = (
    Acceleration(
        name="adapter",
        text="An adapter's layer is one operation that keeps its input once.",
    ),
    Acceleration(
        name="head",
        text="The loss goes over the logits once, where the head doesn't learn.",
    ),
    Acceleration(
        name="rows",
        on="processor",
        text="Rows are packed and each attends for itself.",
    ),
    Acceleration(
        name="layers",
        on="processor",
        text="Norms and gated layers keep their input alone.",
    ),
    Acceleration(
        name="pieces",
        on="processor",
        package=COMPILER,
        text="Norms, gates and rotary positions are compiled, once long runs earn it.",
    ),
    Acceleration(
        name="regions",
        on="card",
        package="triton",
        usual=False,
        text="Each decoder layer is compiled by torch.",
    ),
    Acceleration(
        name="flash",
        on="card",
        package="flash_attn",
        capability=CAPABLE,
        text="FlashAttention 2, with packed rows.",
    ),
    Acceleration(
        name="liger",
        on="card",
        package="liger_kernel",
        text="Liger's kernels for norms, rotary positions and gated layers.",
    ),
    Acceleration(
        name="tf32",
        on="card",
        capability=CAPABLE,
        text="Products of float32 are computed in TF32.",
    ),
    Acceleration(
        name="segments",
        on="card",
        text="A card's memory is taken in segments that grow, so that gaps lose less of it.",
    ),
)
NAMES = tuple(one.name for one in ALL)


def why_off(
    one: Acceleration,
    off: Iterable[str],
    packages: Iterable[str],
    capability: tuple[int, int] | None,
    also: Iterable[str] = (),
) -> str:
    """Why it doesn't come in on this machine, in words; "" where it does.

    `capability` is the card's, None where a processor computes; `packages` are those that are
    there; `off` names the ones that were switched off, `also` those that were asked for.
    """
    if one.name in off:
        return "switched off"
    if one.on == "processor" and capability is not None:
        return "for a processor"
    if one.on == "card" and capability is None:
        return "for a card"
    if capability is not None and capability < one.capability:
        return "the card is too old"
    if not one.usual and one.name not in also:
        return "not asked for"
    if one.package and one.package not in packages:
        return f"{one.package} isn't installed"
    return ""


def chosen(
    off: Iterable[str],
    packages: Iterable[str],
    capability: tuple[int, int] | None,
    also: Iterable[str] = (),
) -> tuple[str, ...]:
    """The names of those that come in; the parameters as in `why_off`."""
    off, packages, also = set(off), set(packages), set(also)
    return tuple(one.name for one in ALL if not why_off(one, off, packages, capability, also))


def names_in(text: str) -> tuple[str, ...]:
    """The names in a list with commas. Raises StudioError for one that there isn't."""
    names = tuple(filter(None, (part.strip() for part in text.split(","))))
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise StudioError(
            "No such acceleration",
            f"There is none called {', '.join(unknown)}.",
            f"Choose among {', '.join(NAMES)}, with commas between them.",
        )
    return names
