"""The catalogue: no entry without a source, and numbers that give the stated size."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from studio.core import cards, catalogue
from studio.core.catalogue import KnownModel
from studio.core.recipe import Method
from studio.core.sizing.architectures import shapes_of
from studio.library.catalogue import copies, find, known


def is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme == "https" and "." in parts.netloc and len(parts.path) > 1


@pytest.mark.parametrize("model", known(), ids=lambda model: model.id)
def test_no_model_without_a_source(model: KnownModel) -> None:
    assert model.config_source == f"https://huggingface.co/{model.id}/blob/main/config.json"
    assert model.read_in.split(":")[0] in copies()
    stated = model.parameters_source
    assert is_address(stated.split(" ")[0]) or stated.replace(",", ":").split(":")[0] in copies()
    assert model.licence


@pytest.mark.parametrize("model", known(), ids=lambda model: model.id)
def test_the_numbers_give_the_stated_size(model: KnownModel) -> None:
    shapes = shapes_of(model.config)
    assert shapes is not None
    assert shapes.parameters == pytest.approx(model.parameters, rel=0.005)


def test_copies_are_pinned_to_a_commit() -> None:
    for address in copies().values():
        assert is_address(address)
        commit = address.split("/blob/")[1].split("/")[0]
        assert len(commit) == 40
        assert int(commit, 16)


def test_there_are_models_of_many_kinds_and_sizes() -> None:
    models = known()
    assert len({model.id for model in models}) == len(models) >= 60
    assert [model.parameters for model in models] == sorted(one.parameters for one in models)
    kinds = {model.config["model_type"] for model in models}
    assert kinds >= {"llama", "qwen2", "qwen3", "qwen3_moe", "mistral", "mixtral", "gemma2"}
    assert kinds >= {
        "gemma3_text",
        "phi",
        "phi3",
        "olmo2",
        "granite",
        "gpt_neox",
        "gpt2",
        "smollm3",
    }


@pytest.mark.parametrize("method", ["full", "lora", "qlora"])
def test_what_is_offered_fits_and_a_larger_card_is_offered_more(method: Method) -> None:
    before: set[str] = set()
    for gigabytes in (6, 8, 12, 16, 24, 48):
        machine = cards.machine_with(cards.of_size(gigabytes))
        offers = catalogue.largest(machine, known(), method)
        sizes = [offer.model.parameters for offer in offers]
        assert sizes == sorted(sizes, reverse=True)
        for offer in offers:
            assert offer.estimate.verdict == "fits"
            assert offer.estimate.needed_bytes <= offer.estimate.available_bytes
        found = {offer.model.id for offer in offers}
        assert before <= found
        before = found


def test_qlora_reaches_further_than_lora_and_lora_further_than_full() -> None:
    machine = cards.machine_with(cards.of_size(12))
    full, lora, qlora = (
        catalogue.largest(machine, known(), method, most=1)[0].model.parameters
        for method in ("full", "lora", "qlora")
    )
    assert full < lora < qlora


def test_the_search_ends_early() -> None:
    machine = cards.machine_with(cards.of_size(24))
    every = catalogue.largest(machine, known(), "lora")
    assert catalogue.largest(machine, known(), "lora", most=3) == every[:3]


def test_nothing_is_offered_where_nothing_fits() -> None:
    assert catalogue.largest(cards.machine_with(cards.of_size(0.6)), known(), "lora") == ()


def test_a_model_is_found_by_its_id() -> None:
    found = find("qwen/qwen3-8b")
    assert found
    assert found.name == "Qwen3-8B"
    assert found.facts().context_length == 40960
    assert find("nobody/nothing") is None
