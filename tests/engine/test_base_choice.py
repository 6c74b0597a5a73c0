"""The base of a merged QLoRA adapter: both are scored, and the better one is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit

from studio.core.commands import Merge
from studio.core.errors import StudioError
from studio.core.events import Finished
from studio.engine import base_choice, merge, quantized_base
from studio.engine.base_choice import Choice
from studio.engine.decided import Decided, remember
from studio.engine.load import load_model
from studio.library import adapters
from studio.library.folders import Home, JobFolder
from studio.library.models import weights
from tests.support import adapters as made
from tests.support import engines

RUN = "a run"
DECIDED = Decided(
    device="cpu", dtype="float32", dtype_reason="", threads=1, micro_batch_size=1,
    micro_batch_tokens=64, gradient_accumulation=1, packing=False, gradient_checkpointing=False,
    learning_rate=1e-4,
)  # fmt: skip


def of_qlora(home: Home, base: Path, method: str = "qlora") -> Path:
    """An adapter that the library knows to be of this method, and of a run."""
    plain = made.make_adapter(base, home.root / "plain", lora_alpha=1)
    return adapters.add(home, plain, method, adapters.AdapterFacts(method=method, run=RUN))


def hold_out(home: Home, count: int = 4) -> None:
    """Rows that the run held out; half of each is learnt."""
    data = JobFolder(home.runs / RUN).data
    data.mkdir(parents=True)
    rows = np.random.default_rng(0).integers(5, 200, (count, 40))
    labels = np.where(np.arange(40) < 20, -100, rows)
    kind = pa.list_(pa.int32())
    columns = {
        "input_ids": pa.array(rows.tolist(), kind),
        "labels": pa.array(labels.tolist(), kind),
    }
    table = pa.table(columns)
    with pa.ipc.new_file(data / "eval.arrow", table.schema) as file:
        file.write_table(table)


def choose(home: Home, base: Path, adapter: Path, wanted: str = "auto") -> Choice | None:
    return base_choice.choose(home, base, adapter, wanted, lambda share: None)


def merged(home: Home, base: Path, adapter: Path, out: Path, onto: str) -> dict[str, Any]:
    job = Merge(adapter=str(adapter), out=str(out), base=str(base), onto=onto)
    context = engines.context_of(home, job)
    merge.run(context)
    last = engines.events_of(context)[-1]
    assert isinstance(last, Finished)
    return last.result


def test_both_are_scored_as_plain_transformers_would(home: Home, tiny_model: Path) -> None:
    adapter = of_qlora(home, tiny_model)
    hold_out(home)
    choice = choose(home, tiny_model, adapter)
    assert choice is not None
    assert choice.positions == 80
    live = {
        "original": made.with_peft(tiny_model, adapter),
        "trained": made.attach_plain(
            load_model(tiny_model, torch.float32, bits=4, device=torch.device("cpu")), adapter
        ),
    }
    rows = base_choice.rows_of(home, RUN)
    for name, model in live.items():
        losses = [
            model(
                input_ids=torch.tensor(row.input_ids[None]), labels=torch.tensor(row.labels[None])
            ).loss.item()
            for row in rows
        ]
        # 4-bit products add up in another order
        assert choice.losses[name] == pytest.approx(np.mean(losses), abs=1e-4)  # type: ignore[index]
    assert choice.losses["original"] != choice.losses["trained"]
    assert choice.base == min(choice.losses, key=lambda name: choice.losses[name])


def test_without_held_out_rows_it_is_the_original(home: Home, tiny_model: Path) -> None:
    assert choose(home, tiny_model, of_qlora(home, tiny_model)) == Choice(base="original")


def test_other_adapters_have_one_base(home: Home, tiny_model: Path) -> None:
    adapter = of_qlora(home, tiny_model, "lora")
    assert choose(home, tiny_model, adapter) is None
    with pytest.raises(StudioError, match="not on a 4-bit one"):
        choose(home, tiny_model, adapter, "trained")


def test_merged_into_what_it_was_trained_on(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = of_qlora(home, tiny_model)
    result = merged(home, tiny_model, adapter, tmp_path / "merged", "trained")
    assert result["base"]["base"] == "trained"
    assert result["passport"]["grade"] == "pass"
    base = load_model(tiny_model, torch.float32, device=torch.device("cpu"))
    quantized_base.put(base, base_choice.as_trained(home, tiny_model, adapter))
    wanted = made.attach_plain(base, adapter).merge_and_unload().state_dict()
    written = made.load(tmp_path / "merged").state_dict()
    assert all(torch.equal(written[name], wanted[name]) for name in written)
    plain = merged(home, tiny_model, adapter, tmp_path / "plain", "original")
    changed = made.load(Path(plain["path"])).state_dict()
    names = quantized_base.layers(weights.read(tiny_model)[0])
    assert {name for name in written if not torch.equal(written[name], changed[name])} == names


def test_the_base_is_made_in_the_type_that_the_run_decided_on(home: Home, tiny_model: Path) -> None:
    adapter = of_qlora(home, tiny_model)
    folder = JobFolder(home.runs / RUN)
    folder.path.mkdir(parents=True)
    remember(folder, msgspec.structs.replace(DECIDED, dtype="bfloat16"))
    live = load_model(tiny_model, torch.bfloat16, bits=4, device=torch.device("cpu"))
    base = load_model(tiny_model, torch.float32, device=torch.device("cpu"))
    quantized_base.put(base, base_choice.as_trained(home, tiny_model, adapter))
    written = base.state_dict()
    for name, module in live.named_modules():
        if isinstance(module, Linear4bit):
            held = dequantize_4bit(module.weight, module.weight.quant_state)
            assert held.dtype == torch.bfloat16
            assert torch.equal(written.pop(f"{name}.weight"), held.float())
    plain = {name: weight for name, weight in live.named_parameters() if name in written}
    assert plain
    assert all(torch.equal(written[name], weight.float()) for name, weight in plain.items())


def test_the_better_one_is_taken_by_itself(home: Home, tmp_path: Path, tiny_model: Path) -> None:
    adapter = of_qlora(home, tiny_model)
    hold_out(home)
    result = merged(home, tiny_model, adapter, tmp_path / "merged", "auto")
    choice = msgspec.convert(result["base"], Choice)
    assert choice == choose(home, tiny_model, adapter)
    asked = merged(home, tiny_model, adapter, tmp_path / "asked", choice.base)
    one, other = (made.load(Path(r["path"])).state_dict() for r in (result, asked))
    assert all(torch.equal(one[name], other[name]) for name in one)
