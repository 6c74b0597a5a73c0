"""The list of architectures that ships as a file is what the installed transformers knows."""

from __future__ import annotations

from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from studio.library.models.facts import known_architectures


def test_the_list_is_that_of_the_library() -> None:
    known: dict[str, set[str]] = {}
    for kind, classes in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items():
        named = {classes} if isinstance(classes, str) else set(classes)
        known.setdefault(kind, set()).update(named)
    assert {kind: set(named) for kind, named in known_architectures().items()} == known
