"""Adapters come into the library whole, keep their facts, and find the base they belong to."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import msgspec
import pytest

from studio.core.errors import StudioError
from studio.library import adapter_files, adapters, models, settings, trash
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from tests.support import tiny_model as tiny
from tests.support.adapter_files import write_adapter

HIDDEN = tiny.HIDDEN


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "made elsewhere")


def own_model(home: Home, tiny_model: Path, name: str = "tiny-llama") -> Path:
    return Path(shutil.copytree(tiny_model, home.models / name))


def test_import_copies_only_an_adapters_files(home: Home, made: Path) -> None:
    (made / "train.py").write_text("raise SystemExit", "utf-8")
    (made / "optimizer.pt").write_bytes(b"pickle")
    folder = adapters.import_folder(home, made)
    names = {file.name for file in folder.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "studio.json"}
    [row] = adapters.listing(home)
    assert (row.name, row.rank, row.alpha, row.targets) == ("made elsewhere", 4, 8.0, ("q_proj",))
    assert row.imported
    assert row.base_name == "tiny-llama"
    assert row.bytes > 0
    assert not row.problem


def test_import_takes_a_file_of_the_folder_too(home: Home, made: Path) -> None:
    folder = adapters.import_folder(home, made / "adapter_model.safetensors")
    assert adapters.facts(folder).name == "made elsewhere"


def test_a_second_import_gets_a_name_of_its_own(home: Home, made: Path) -> None:
    adapters.import_folder(home, made)
    adapters.import_folder(home, made)
    names = {row.name for row in adapters.listing(home)}
    assert names == {"made elsewhere", "made elsewhere 2"}


def test_what_was_recorded_survives_publishing(home: Home, made: Path) -> None:
    known = AdapterFacts(
        base="/models/tiny", base_digest="abc", method="qlora", dataset="sample", train_loss=0.5,
        eval_loss=0.25, run="first",
    )  # fmt: skip
    folder = adapters.add(home, made, "My adapter", known)
    row = adapters.facts(folder)
    assert folder.parent == home.adapters
    assert (row.name, row.method, row.dataset, row.run) == (
        "My adapter",
        "qlora",
        "sample",
        "first",
    )
    assert (row.train_loss, row.eval_loss, row.base_digest) == (0.5, 0.25, "abc")
    assert not row.imported


def test_a_run_publishes_the_same_weights_once(home: Home, made: Path) -> None:
    """Its engine may die between publishing and saying so, and publish again."""
    known = AdapterFacts(run="first")
    folder = adapters.add(home, made, "cat", known)
    adapters.rename(home, folder, "dog")
    assert adapters.add(home, made, "cat", known) == folder
    other = adapters.add(home, made, "cat", AdapterFacts(run="second"))
    assert other != folder
    weights = folder / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert adapters.add(home, made, "cat", known) not in (folder, other)
    assert len(adapters.listing(home)) == 3


def refusal(home: Home, source: Path) -> StudioError:
    """Why the import is refused; nothing may be left of it."""
    with pytest.raises(StudioError) as caught:
        adapters.import_folder(home, source)
    assert not any(home.adapters.iterdir())
    assert caught.value.text
    assert caught.value.fix
    return caught.value


def test_no_adapter_is_refused(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refusal(home, tmp_path / "empty").title == "Not an adapter"
    assert refusal(home, tmp_path / "nowhere").title == "No such folder"
    assert refusal(home, tiny_model).title == "A model, not an adapter"


def test_pickled_weights_are_refused_with_how_to_convert(home: Home, made: Path) -> None:
    (made / "adapter_model.safetensors").unlink()
    (made / "adapter_model.bin").write_bytes(b"pickle")
    assert "save_pretrained" in refusal(home, made).fix
    (made / "adapter_model.bin").unlink()
    assert refusal(home, made).title == "Adapter without weights"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b'{"peft_type": "LORA", "r": "many"}',
        b'{"peft_type": "LORA", "r": 0}',
        b"\xff\xfe",
    ],
)
def test_a_broken_config_is_refused(home: Home, made: Path, content: bytes) -> None:
    (made / "adapter_config.json").write_bytes(content)
    refusal(home, made)


@pytest.mark.parametrize("keep", [0, 7, 40, -1])
def test_cut_weights_are_refused(home: Home, made: Path, keep: int) -> None:
    file = made / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert refusal(home, made).title == "Damaged adapter"


def test_a_header_that_promises_too_much_is_refused(home: Home, made: Path) -> None:
    (made / "adapter_model.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    assert refusal(home, made).title == "Damaged adapter"


@pytest.mark.parametrize(
    "settings",
    [
        {"peft_type": "PREFIX_TUNING"},
        {"init_lora_weights": "pissa_niter_4"},
        {"megatron_config": {"a": 1}, "megatron_core": "os"},
        {"layer_replication": [[0, 1]]},
    ],
)
def test_kinds_that_change_the_base_are_refused(
    home: Home, tmp_path: Path, settings: dict[str, object]
) -> None:
    source = write_adapter(tmp_path / "odd", **settings)
    assert refusal(home, source).title == "Another kind of adapter"


def test_rename_keeps_the_folder_and_refuses_a_taken_name(home: Home, made: Path) -> None:
    one, two = adapters.import_folder(home, made), adapters.import_folder(home, made)
    assert adapters.rename(home, one, "  Orders ").name == "Orders"
    assert adapters.find(home, "Orders") == one
    with pytest.raises(StudioError, match="Name taken"):
        adapters.rename(home, two, "Orders")
    with pytest.raises(StudioError, match="No name"):
        adapters.rename(home, two, "  ")


def test_delete_goes_to_the_trash_and_comes_back(home: Home, made: Path) -> None:
    folder = adapters.import_folder(home, made)
    content = {file.name: file.read_bytes() for file in folder.iterdir()}
    entry = adapters.delete(home, folder)
    assert adapters.listing(home) == []
    assert adapters.restore(home, entry) == folder
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == content
    with pytest.raises(StudioError, match="Not in the trash"):
        adapters.restore(home, entry)


def test_restore_gives_way_to_what_came_since(home: Home, made: Path) -> None:
    entry = adapters.delete(home, adapters.import_folder(home, made))
    adapters.import_folder(home, made)
    adapters.restore(home, entry)
    assert len(adapters.listing(home)) == 2


def test_only_the_librarys_own_adapters_are_deleted(home: Home, made: Path) -> None:
    with pytest.raises(StudioError, match="Not in the library"):
        adapters.delete(home, made)
    assert made.is_dir()


def test_a_broken_adapter_is_listed_with_its_problem(home: Home, made: Path) -> None:
    folder = adapters.import_folder(home, made)
    (folder / "adapter_model.safetensors").unlink()
    [row] = adapters.listing(home)
    assert row.name == "made elsewhere"
    assert "no adapter_model.safetensors" in row.problem
    adapters.delete(home, folder)


def test_a_name_goes_before_another_adapters_folder(home: Home, made: Path) -> None:
    one, other = (adapters.import_folder(home, made) for _ in range(2))
    adapters.rename(home, other, "third")
    adapters.rename(home, one, other.name)
    assert adapters.find(home, other.name) == one


def test_find_names_what_is_there(home: Home, made: Path) -> None:
    adapters.import_folder(home, made)
    assert adapters.find(home, str(made)) == made
    with pytest.raises(StudioError, match="made elsewhere"):
        adapters.find(home, "other")


def test_base_by_content_wherever_it_lies(home: Home, made: Path, tiny_model: Path) -> None:
    base = own_model(home, tiny_model, "renamed since")
    digest = models.inspect(base).digest
    known = AdapterFacts(base="/gone/tiny", base_digest=digest, method="lora")
    folder = adapters.add(home, made, "by content", known)
    assert adapters.base_of(home, adapters.facts(folder)) == base


def test_base_by_path_for_our_own_adapters_only(home: Home, made: Path, tiny_model: Path) -> None:
    own = adapters.add(home, made, "ours", AdapterFacts(base=str(tiny_model)))
    assert adapters.base_of(home, adapters.facts(own)) == tiny_model
    config = json.loads((made / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = str(tiny_model)
    (made / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    foreign = adapters.import_folder(home, made)
    with pytest.raises(StudioError, match="Base model not here"):
        adapters.base_of(home, adapters.facts(foreign))


def test_a_base_whose_content_changed_is_not_taken_for_it(
    home: Home, made: Path, tiny_model: Path
) -> None:
    base = own_model(home, tiny_model)
    model = models.inspect(base)
    known = AdapterFacts(
        base=str(base), base_digest=model.digest, base_told=adapters.told(model), method="lora"
    )
    folder = adapters.add(home, made, "Orders", known)
    assert adapters.base_of(home, adapters.facts(folder)) == base
    tiny.build(base, seed=1)
    with pytest.raises(adapters.BaseMissing, match="same shapes, and other weights"):
        adapters.base_of(home, adapters.facts(folder))
    assert "same shapes" in adapters.trained_elsewhere(folder, base)
    moved = Path(shutil.copytree(tiny_model, home.root.parent / "moved"))
    assert not adapters.trained_elsewhere(folder, moved)
    settings.save(home, settings.Settings(recent_models=(str(moved),)))
    assert adapters.base_of(home, adapters.facts(folder)) == moved


def test_locate_takes_the_right_folder_and_says_what_differs(
    home: Home, made: Path, tiny_model: Path, tmp_path: Path
) -> None:
    model = models.inspect(tiny_model)
    known = AdapterFacts(
        base="/gone/tiny", base_digest=model.digest, base_told=adapters.told(model)
    )
    one, two = (adapters.add(home, made, name, known) for name in ("one", "two"))
    with pytest.raises(adapters.BaseMissing, match="isn't among the models"):
        adapters.base_of(home, adapters.facts(one))
    other = tiny.build(tmp_path / "other", seed=1)
    with pytest.raises(StudioError, match="other weights or settings"):
        adapters.locate(home, one, other)
    with pytest.raises(StudioError, match="no folder"):
        adapters.locate(home, one, tmp_path / "nowhere")
    adapters.locate(home, one, tiny_model)
    assert adapters.base_of(home, adapters.facts(one)) == tiny_model
    # the other adapter of that base finds it there as well
    assert adapters.base_of(home, adapters.facts(two)) == tiny_model
    adapters.locate(home, one, other, anyway=True)
    assert adapters.base_of(home, adapters.facts(one)) == other


def test_a_base_of_another_width_is_said_with_its_numbers(
    home: Home, made: Path, tiny_model: Path
) -> None:
    model = models.inspect(tiny_model)
    then = msgspec.structs.replace(adapters.told(model), layers=30, dtype="bfloat16")
    known = AdapterFacts(name="x", base_digest="other", base_told=then)
    assert adapters.differences(known, model) == [
        "its layers are 2 here and 30 there",
        "its weights are stored as float32 here and bfloat16 there",
    ]


def test_an_imported_adapter_keeps_to_the_base_that_had_its_name(
    home: Home, made: Path, tiny_model: Path
) -> None:
    base = own_model(home, tiny_model)
    folder = adapters.import_folder(home, made)
    known = adapters.facts(folder)
    assert known.base_digest == models.inspect(base).digest
    base.rename(home.models / "under another name")
    assert adapters.base_of(home, known) == home.models / "under another name"


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("/models/tiny", "tiny"),
        ("C:\\models\\tiny\\", "tiny"),
        ("somebody/tiny", "tiny"),
        ("/hub/models--somebody--tiny-2b/snapshots/1cfa9a72089121264", "tiny-2b"),
        ("", ""),
    ],
)
def test_the_name_of_a_base(base: str, name: str) -> None:
    assert AdapterFacts(base=base).base_name == name


def test_base_by_name(home: Home, made: Path, tiny_model: Path) -> None:
    folder = adapters.import_folder(home, made)
    base = own_model(home, tiny_model)
    assert adapters.base_of(home, adapters.facts(folder)) == base


def test_a_base_of_that_name_with_other_shapes_is_refused(
    home: Home, tmp_path: Path, tiny_model: Path
) -> None:
    own_model(home, tiny_model)
    folder = adapters.import_folder(home, write_adapter(tmp_path / "wide", hidden=HIDDEN * 2))
    with pytest.raises(StudioError, match="made for another base"):
        adapters.base_of(home, adapters.facts(folder))


def test_notes_and_tags(home: Home, made: Path) -> None:
    folder = adapters.import_folder(home, made)
    adapters.annotate(home, folder, notes=" good at dates \n", tags=["Shop", " shop", "", "a, b"])
    [row] = adapters.listing(home)
    assert (row.notes, row.tags) == ("good at dates", ("shop", "a b"))
    adapters.annotate(home, folder, tags=())
    [row] = adapters.listing(home)
    assert (row.notes, row.tags) == ("good at dates", ())


def test_an_adapter_elsewhere_is_never_written_to(home: Home, made: Path) -> None:
    before = {file.name for file in made.iterdir()}
    for act in (
        lambda: adapters.rename(home, made, "mine"),
        lambda: adapters.annotate(home, made, notes="mine"),
        lambda: adapters.locate(home, made, made),
    ):
        with pytest.raises(StudioError, match="Not in the library"):
            act()
    adapters.record_made(home, made, "merged", made)
    assert {file.name for file in made.iterdir()} == before


def test_what_was_made_of_it_is_remembered_once(home: Home, made: Path, tmp_path: Path) -> None:
    folder = adapters.import_folder(home, made)
    for grade in ("fail", "pass"):
        adapters.record_made(home, folder, "merged", tmp_path / "out", grade=grade)
    adapters.record_made(home, folder, "exported", tmp_path / "x.gguf", format="gguf")
    [row] = adapters.listing(home)
    assert [(m.kind, m.grade, m.format) for m in row.made] == [
        ("merged", "pass", ""), ("exported", "", "gguf"),
    ]  # fmt: skip
    adapters.record_made(home, home.adapters / "gone", "merged", tmp_path / "out")


def test_a_run_taken_up_again_is_the_lineage_of_what_it_publishes(home: Home, made: Path) -> None:
    first = adapters.add(home, made, "cat", AdapterFacts(run="one"))
    weights = made / "adapter_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    second = adapters.facts(adapters.add(home, made, "cat", AdapterFacts(run="one")))
    [parent] = second.lineage
    assert (parent.name, parent.folder, parent.how) == ("cat", first.name, "resumed")
    known = adapters.facts(first)
    assert [row.name for row in adapters.children(known, adapters.listing(home))] == [second.name]


def test_the_trash_knows_adapters_by_their_names(home: Home, made: Path) -> None:
    folder = adapters.import_folder(home, made)
    adapters.rename(home, folder, "Orders")
    (home.runs / "one").mkdir()
    trash.put(home, home.runs / "one")
    adapters.delete(home, folder)
    [entry] = adapters.deleted(home)
    assert entry.title == "Orders"
    trash.erase(entry)
    assert adapters.deleted(home) == []
    assert len(trash.listing(home)) == 1


def test_module_names_come_from_keys() -> None:
    key = "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"
    assert adapter_files.module_of(key) == "model.layers.0.mlp.up_proj"
    assert adapter_files.module_of("base_model.model.lm_head.weight") == ""
