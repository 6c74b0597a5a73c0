"""What sees pictures beside a text model: it is held, and text alone never goes through it.

Where all weights learn it gets no gradient and no states; an adapter on all linear layers is put on
its own too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studio.core.sizing.fields import Fields
from studio.core.sizing.shapes import Linear, Tensor, Tower

# What transformers 5.23 takes for granted (models/siglip/configuration_siglip.py).
_SIGLIP: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "vision_use_head": True,
}


def siglip(config: Mapping[str, Any], text: int) -> Tower:
    """SigLIP's layers, and Gemma 3's projection onto the text model's width (models/siglip,
    models/gemma3). Raises MissingError where a size makes no sense."""
    fields = Fields(config, _SIGLIP)
    width, inner = fields.whole("hidden_size"), fields.whole("intermediate_size")
    layers, patch = fields.whole("num_hidden_layers"), fields.whole("patch_size")
    side = fields.whole("image_size") // patch
    head = int(fields.flag("vision_use_head"))
    linears = (
        *(_linear(name, width, width, layers) for name in ("q_proj", "k_proj", "v_proj")),
        _linear("out_proj", width, width, layers + head),
        _linear("fc1", width, inner, layers + head),
        _linear("fc2", inner, width, layers + head),
    )
    others = {
        "patch_embedding": fields.whole("num_channels") * patch**2 * width + width,
        "position_embedding": side**2 * width,
        "norms": 2 * width * (2 * layers + 1 + head),
        "pooling": head * (width + 3 * width * (width + 1)),
        "projection": width * text + width,
    }
    made = (Tensor(name=name, shape=(values,)) for name, values in others.items() if values)
    return Tower(linears=linears, others=tuple(made))


def _linear(module: str, inputs: int, outputs: int, count: int) -> Linear:
    return Linear(
        module=module, inputs=inputs, outputs=outputs, count=count, role="tower", bias=True
    )
