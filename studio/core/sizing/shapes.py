"""A language model as sizes: every parameter tensor, and what decides its activations."""

from __future__ import annotations

from math import prod
from typing import Literal

import msgspec

Norm = Literal["rms", "rms+1", "layer"]
Role = Literal["attention", "mlp", "gate", "tower"]
ADAPTED_EXPERTS = ("mixtral", "qwen3_moe")
"""Models whose experts were linear layers once: peft puts adapters on them for "all-linear"."""
QkNorm = Literal["", "head", "each", "all"]


class Linear(msgspec.Struct, frozen=True, kw_only=True):
    """A linear layer (torch's Linear, or GPT-2's Conv1D) and how many the model has of it.

    `module` is its last name. The role "gate" is that of a linear layer with one output, which
    weighs a shared expert.
    """

    module: str
    inputs: int
    outputs: int
    count: int
    role: Role
    bias: bool = False
    transposed: bool = False

    @property
    def values(self) -> int:
        """Weights in all of them, biases aside."""
        return self.inputs * self.outputs * self.count


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter tensor by its last names, its shape, and how many the model has of it."""

    name: str
    shape: tuple[int, ...]
    count: int = 1

    @property
    def values(self) -> int:
        """Values in all of them."""
        return prod(self.shape) * self.count


class Tower(msgspec.Struct, frozen=True, kw_only=True):
    """What sees pictures beside the text model (towers.py)."""

    linears: tuple[Linear, ...]
    others: tuple[Tensor, ...]

    @property
    def parameters(self) -> int:
        """All its weights."""
        biases = sum(one.outputs * one.count for one in self.linears if one.bias)
        others = sum(one.values for one in self.others)
        return sum(one.values for one in self.linears) + biases + others

    def targeted(self, targets: str | tuple[str, ...]) -> tuple[Linear, ...]:
        """The layers that an adapter with these targets is put on."""
        return tuple(
            one for one in self.linears if targets == "all-linear" or one.module in names(targets)
        )


class Shapes(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in values. `linears` are the decoder layers' linear layers, lm_head aside, and
    `others` all parameters besides their weights and biases: norms, embeddings, lm_head unless
    tied, positions, routers, experts that are stored as one tensor.

    `norms` counts a layer's norms as wide as the model; `qk_norm` says whether queries and keys
    have one ("head": one over every head, "each": one for each head, "all": over all heads at
    once). `parallel` layers add attention and feed-forward to the same input. `rotary` is how
    many values of a head turn with the position, 0 where `positions` are learnt. `windows` has
    each layer's window in tokens, 0 for none. A cap of 0 is none. `sparse_layers` of the layers
    have `experts`, of which a token goes through `experts_per_token`, and a shared one
    `shared_intermediate` wide. A `tower` isn't among all these.
    """

    kind: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    linears: tuple[Linear, ...]
    others: tuple[Tensor, ...]
    gated: bool = True
    activation: str = "silu"
    fused_qkv: bool = False
    fused_gate: bool = False
    norm: Norm = "rms"
    norms: int = 2
    qk_norm: QkNorm = ""
    parallel: bool = False
    rotary: int = 0
    positions: int = 0
    context: int = 0
    windows: tuple[int, ...] = ()
    attention_cap: float = 0.0
    logits_cap: float = 0.0
    scaled_embeddings: bool = False
    head_bias: bool = False
    embedding_dropout: float = 0.0
    attention_dropout: float = 0.0
    residual_dropout: float = 0.0
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    shared_intermediate: int = 0
    sparse_layers: int = 0
    tower: Tower | None = None

    @property
    def linear(self) -> int:
        """Weights in the linear layers, lm_head and biases aside."""
        return sum(one.values for one in self.linears)

    @property
    def parameters(self) -> int:
        """All weights."""
        return sum(one.values for one in self.tensors())

    def tensors(self) -> tuple[Tensor, ...]:
        """Every parameter tensor of the model; a tied lm_head is the embeddings."""
        return (*self._linear_tensors(), *self.others)

    def targeted(self, targets: str | tuple[str, ...]) -> tuple[Linear, ...]:
        """The linear layers that an adapter with these targets is put on; lm_head is one where
        it is named. In a mixture whose experts get adapters (experts.py), peft passes over the
        dense layers' feed-forward part."""
        if targets == "all-linear":
            passed = "mlp" if self.sparse_layers and self.kind in ADAPTED_EXPERTS else ""
            return tuple(one for one in self.linears if one.role != passed)
        wanted = set(names(targets))
        found = tuple(one for one in self.linears if one.module in wanted)
        return (*found, self.head) if wanted & {"lm_head", "embed_out"} else found

    @property
    def head(self) -> Linear:
        """The layer that makes logits."""
        return Linear(
            module="lm_head", inputs=self.hidden, outputs=self.vocabulary, count=1, role="mlp"
        )

    def _linear_tensors(self) -> tuple[Tensor, ...]:
        found = []
        for one in self.linears:
            sides = (one.inputs, one.outputs) if one.transposed else (one.outputs, one.inputs)
            found.append(Tensor(name=f"{one.module}.weight", shape=sides, count=one.count))
            if one.bias:
                bias = (one.outputs,)
                found.append(Tensor(name=f"{one.module}.bias", shape=bias, count=one.count))
        return tuple(found)


def names(targets: str | tuple[str, ...]) -> tuple[str, ...]:
    """The last names of target modules given as a list, or as one name."""
    several = (targets,) if isinstance(targets, str) else targets
    return tuple(target.rsplit(".", 1)[-1] for target in several)
