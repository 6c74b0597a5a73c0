"""A mix is baked whole or not at all, answers as the live mix does, and is scored on rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from studio.core.commands import Cancel, Chat, Say
from studio.core.commands import Mix as Job
from studio.core.errors import StudioError
from studio.core.events import Answered, AnyEvent, Cancelled, Finished, Refused, Stage
from studio.core.mixing import METHODS, Ingredient, Mix
from studio.core.passport import Passport
from studio.engine import base_choice, mix
from studio.engine.beside import attach
from studio.engine.conversation import Speaker
from studio.engine.live_mix import LiveMix
from studio.engine.load import load_model, load_tokenizer
from studio.engine.mix_check import Tick, Trial
from studio.library import adapters, jobs, mixing
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from tests.engine.test_base_choice import RUN, hold_out
from tests.support import adapters as made
from tests.support import engines
from tests.support.engines import Held

QUESTION = made.QUESTION
IDS = [1, 5, 9, 13, 2, 7]


@pytest.fixture
def pair(home: Home, tiny_model: Path) -> list[Path]:
    """Two adapters of the library; the first one's run has held rows out."""
    hold_out(home)
    found = []
    for seed, name in enumerate(("orders", "täglich")):
        plain = made.make_adapter(tiny_model, home.root / name, seed, r=2 + seed)
        known = AdapterFacts(base=str(tiny_model), run="" if seed else RUN, method="lora")
        found.append(adapters.add(home, plain, name, known))
    return found


def of(folders: list[Path], **settings: Any) -> Mix:
    told = tuple(Ingredient(adapter=str(one), weight=0.6 - at) for at, one in enumerate(folders))
    return Mix(adapters=told, **settings)


def events_of(home: Home, job: Job, told: Cancel | None = None) -> list[AnyEvent]:
    context = engines.context_of(home, job)
    if told:
        jobs.tell(context.folder.path, told)
    mix.run(context)
    assert not (context.folder.path / "mixed").exists()
    return engines.events_of(context)


def run(home: Home, job: Job) -> dict[str, Any]:
    last = events_of(home, job)[-1]
    assert isinstance(last, Finished)
    return last.result


def test_baked_into_a_folder_with_its_recipe_and_its_check(
    home: Home, tmp_path: Path, tiny_model: Path, pair: list[Path]
) -> None:
    out = tmp_path / "mixed"
    result = run(home, Job(mix=of(pair), base=str(tiny_model), out=str(out)))
    assert Path(result["path"]) == out
    assert result["bytes"] == sum(file.stat().st_size for file in out.iterdir())
    assert result["apart"] < 1e-6
    passport = result["passport"]
    assert passport["grade"] == "pass"
    assert passport["kl"] < 1e-9 < passport["kl_without_adapter"]
    assert [check["name"] for check in passport["checks"]] == ["agreement", "kl"]
    recipe = mixing.read(out)
    assert [(one.name, one.weight) for one in recipe.adapters] == [
        ("orders", 0.6),
        ("täglich", -0.4),
    ]
    assert (out / "passport.json").is_file()
    known = adapters.facts(out)
    assert (known.rank, known.base) == (5, str(tiny_model))


def test_baked_into_the_library_with_where_it_came_from(
    home: Home, tiny_model: Path, pair: list[Path]
) -> None:
    result = run(home, Job(mix=of(pair, method="svd"), base=str(tiny_model), name="both"))
    (known,) = [one for one in adapters.listing(home) if one.name == "both"]
    assert known.path == result["path"]
    told = [(each.name, each.folder, each.how, each.weight) for each in known.lineage]
    assert told == [
        ("orders", pair[0].name, "mixed", 0.6),
        ("täglich", pair[1].name, "mixed", -0.4),
    ]
    assert known.mixture == {"method": "svd", "rank": 0}
    assert mixing.read(Path(known.path)).method == "svd"
    assert 0 < result["apart"] < 1


def test_scored_on_the_rows_that_the_runs_held_out(
    home: Home, tiny_model: Path, pair: list[Path]
) -> None:
    """As plain peft would, and nothing is written."""
    before = sorted(home.adapters.iterdir())
    result = run(home, Job(mix=of(pair), base=str(tiny_model), score=True))
    assert result["path"] is None
    assert sorted(home.adapters.iterdir()) == before
    (score,) = result["scores"]
    assert (score["rows_of"], score["positions"]) == ("orders", 80)
    rows = base_choice.rows_of(home, RUN)
    tick = lambda _share: None  # noqa: E731
    assert score["base"] == pytest.approx(base_choice.loss(made.load(tiny_model), rows, tick))
    for name, folder in zip(("orders", "täglich"), pair, strict=True):
        alone = base_choice.loss(made.with_peft(tiny_model, folder), rows, tick)
        assert score["adapters"][name] == pytest.approx(alone, rel=1e-5)
    baked = run(home, Job(mix=of(pair), base=str(tiny_model), name="x"))["path"]
    found = base_choice.loss(made.with_peft(tiny_model, Path(baked)), rows, tick)
    assert score["mix"] == pytest.approx(found, rel=1e-5)
    assert len({round(one, 3) for one in (score["base"], score["mix"], found)}) == 2


def test_what_can_not_be_mixed_is_said_with_every_problem(
    home: Home, tmp_path: Path, tiny_model: Path, pair: list[Path]
) -> None:
    dora = made.make_adapter(tiny_model, tmp_path / "dora", use_dora=True)
    job = Job(mix=of([*pair, dora], method="linear"), base=str(tiny_model), out=str(tmp_path / "x"))
    with pytest.raises(StudioError) as caught:
        events_of(home, job)
    blocking = [one.field for one in caught.value.problems if one.severity == "error"]
    assert blocking == ["adapters.2", "adapters.1", "adapters.2"]
    assert not (tmp_path / "x").exists()


def test_cancelled_nothing_is_left(
    home: Home, tmp_path: Path, tiny_model: Path, pair: list[Path]
) -> None:
    context = engines.context_of(
        home, Job(mix=of(pair), base=str(tiny_model), out=str(tmp_path / "out"))
    )
    jobs.tell(context.folder.path, Cancel())
    mix.run(context)
    assert isinstance(engines.events_of(context)[-1], Cancelled)
    assert not (tmp_path / "out").exists()
    assert not (context.folder.path / "mixed").exists()


def test_it_can_be_called_off_while_it_is_checked(
    home: Home, tmp_path: Path, tiny_model: Path, pair: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(mix=of(pair), base=str(tiny_model), out=str(tmp_path / "out"))
    context = engines.context_of(home, job)
    check = Trial.check

    def check_and_cancel(self: Trial, baked: Path, tick: Tick) -> Passport:
        assert (baked / "adapter_model.safetensors").is_file()
        jobs.tell(context.folder.path, Cancel())
        return check(self, baked, tick)

    monkeypatch.setattr(Trial, "check", check_and_cancel)
    mix.run(context)
    assert isinstance(engines.events_of(context)[-1], Cancelled)
    assert not (tmp_path / "out").exists()
    assert not (context.folder.path / "mixed").exists()


def test_without_its_base_it_is_baked_unchecked(
    home: Home, tmp_path: Path, pair: list[Path]
) -> None:
    result = run(home, Job(mix=of(pair), out=str(tmp_path / "out")))
    assert result["passport"] is None
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()


def test_a_broken_file_fails_the_check(
    home: Home, tmp_path: Path, tiny_model: Path, pair: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a wrong alpha would: the file is read back, not believed."""
    from peft import LoraConfig

    from studio.engine import mixed_adapter

    right = mixed_adapter.config

    def wrong(*args: Any) -> LoraConfig:
        settings = right(*args)
        settings.lora_alpha *= 2
        return settings

    monkeypatch.setattr(mixed_adapter, "config", wrong)
    job = Job(mix=of(pair), base=str(tiny_model), out=str(tmp_path / "out"))
    assert run(home, job)["passport"]["grade"] == "fail"


def test_progress_never_goes_back(
    home: Home, tmp_path: Path, tiny_model: Path, pair: list[Path]
) -> None:
    job = Job(mix=of(pair), base=str(tiny_model), out=str(tmp_path / "out"), score=True)
    shares = [each.share for each in events_of(home, job) if isinstance(each, Stage)]
    assert shares == sorted(share for share in shares if share is not None)


def test_a_live_mix_changes_in_place_and_is_what_is_baked(
    home: Home, tmp_path: Path, tiny_model: Path, pair: list[Path]
) -> None:
    """Beside another adapter, which stays itself, on a base that isn't touched."""
    base = made.load(tiny_model)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    alone = made.logits(made.with_peft(tiny_model, pair[0]), IDS)
    model = attach(base, pair[0], "single")
    live = LiveMix(model, "mix", of(pair))
    for weights in ((0.6, -0.4), (0.1, 0.9), (1.0, 0.0)):
        told = tuple(
            Ingredient(adapter=str(one), weight=weight)
            for one, weight in zip(pair, weights, strict=True)
        )
        recipe = Mix(adapters=told)
        assert live.can_become(recipe)
        live.change(recipe)
        live.model.set_adapter("mix", inference_mode=True)
        found = made.logits(live.model, IDS)
        out = tmp_path / str(weights[1])
        run(home, Job(mix=recipe, out=str(out)))
        assert torch.equal(found, made.logits(made.with_peft(tiny_model, out), IDS))
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
    live.model.set_adapter("single", inference_mode=True)
    assert torch.equal(made.logits(live.model, IDS), alone)
    assert not live.can_become(of(pair, method="svd"))
    assert not live.can_become(of(pair[:1]))
    plain = live.model.unload()
    assert all(torch.equal(before[name], weight) for name, weight in plain.state_dict().items())


def weighted(folders: list[Path], *weights: float, **settings: Any) -> Mix:
    told = zip(folders, weights, strict=True)
    return Mix(
        adapters=tuple(Ingredient(adapter=str(one), weight=weight) for one, weight in told),
        **settings,
    )


def test_chat_takes_a_mix_for_a_side_and_its_next_answer_uses_the_new_weights(
    home: Home, tiny_model: Path, pair: list[Path]
) -> None:
    recipes = [weighted(pair, 0.9, 0.1), weighted(pair, -0.3, 1.2)]
    drafts = [str(mixing.draft(home, recipe)) for recipe in recipes]
    assert drafts[0] == str(mixing.draft(home, recipes[0]))
    baked = [run(home, Job(mix=recipe, name=str(at)))["path"] for at, recipe in enumerate(recipes)]
    with engines.holding(home, Chat(model=str(tiny_model), dtype="float32")) as held:
        answers = [_say(held, side) for side in ("", *drafts, *baked, str(pair[0]), drafts[0])]
    texts = [answer.text for (answer,) in answers]
    assert texts[1:3] == texts[3:5]
    assert texts[-1] == texts[1]
    assert len(set(texts[:3])) == 3


@pytest.mark.parametrize("fold", [True, False])
def test_a_mix_changes_in_place_and_two_stand_side_by_side(
    home: Home, tiny_model: Path, pair: list[Path], fold: bool
) -> None:
    base = load_model(tiny_model, torch.float32, device=torch.device("cpu"))
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    speaker = Speaker(tiny_model, base, load_tokenizer(tiny_model), fold=fold)
    one, two, three = (
        str(mixing.draft(home, weighted(pair, weight, 0.5))) for weight in (0.1, 0.6, 1.1)
    )
    speaker.need([one, two])
    told = {}
    for side in (one, two):
        with speaker.speaking(side) as model:
            told[side] = made.logits(model, IDS)
    assert not torch.equal(told[one], told[two])
    speaker.need([two, three])
    assert set(speaker.adapters) == {two, three}, "the idle one became the new one"
    assert fold == (speaker.model is base), "nothing was put onto the model where it is folded"
    with speaker.speaking(two) as model:
        assert torch.equal(made.logits(model, IDS), told[two])
    speaker.need([str(pair[0]), str(mixing.draft(home, weighted(pair, 1.0, 1.0, method="svd")))])
    assert len(speaker.adapters) == (3 if fold else 4), "folded ones become any other"
    speaker.hold([])
    assert speaker.model is base
    assert all(torch.equal(before[name], each) for name, each in base.state_dict().items())


@pytest.mark.parametrize("method", METHODS)
def test_a_folded_mix_says_what_the_unfolded_one_says(
    home: Home, tiny_model: Path, pair: list[Path], method: str
) -> None:
    """Whatever the method, and also after it became another one in place."""
    equal = [pair[1], made.make_adapter(tiny_model, home.root / "third", 5, r=3)]
    recipes = [weighted(equal, 0.7, 0.4, method=method), weighted(equal, -0.2, 1.1, method=method)]
    drafts = [str(mixing.draft(home, recipe)) for recipe in recipes]
    told: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for fold, found in told.items():
        base = load_model(tiny_model, torch.float32, device=torch.device("cpu"))
        bare = made.logits(base, IDS)
        speaker = Speaker(tiny_model, base, load_tokenizer(tiny_model), fold=fold)
        for side in drafts:
            speaker.need([side])
            assert (speaker.own_bytes(side) > 0) == fold
            with speaker.speaking(side) as model:
                found.append(made.logits(model, IDS))
        assert len(speaker.adapters) == 1
        assert torch.equal(made.logits(base, IDS) if fold else bare, bare)
    for folded, beside in zip(*told.values(), strict=True):
        torch.testing.assert_close(folded, beside, atol=2e-4, rtol=1e-4)
    first, second = told[True]
    assert not torch.allclose(first, second, atol=1e-2)


def test_a_mix_that_can_not_be_folded_any_more_lies_beside_the_base(
    home: Home, tiny_model: Path, pair: list[Path]
) -> None:
    """In 16 bits a slider can be drawn to where a weight has no number."""
    base = load_model(tiny_model, torch.float16, device=torch.device("cpu"))
    bare = made.logits(base, IDS)
    speaker = Speaker(tiny_model, base, load_tokenizer(tiny_model))
    small, huge = (str(mixing.draft(home, weighted(pair, size, size))) for size in (0.5, 1e7))
    speaker.need([small])
    assert speaker.own_bytes(small)
    speaker.need([huge])
    assert speaker.adapters == (huge,)
    assert not speaker.own_bytes(huge)
    speaker.hold([])
    assert torch.equal(made.logits(base, IDS), bare)


def test_chat_refuses_what_can_not_be_mixed(
    home: Home, tmp_path: Path, tiny_model: Path, pair: list[Path]
) -> None:
    dora = made.make_adapter(tiny_model, tmp_path / "dora", use_dora=True)
    draft = mixing.draft(home, weighted([pair[0], dora], 1.0, 1.0))
    with engines.holding(home, Chat(model=str(tiny_model), dtype="float32")) as held:
        (refused,) = _say(held, str(draft))
        assert "DoRA" in refused.text
        (answer,) = _say(held, str(pair[0]))
        assert isinstance(answer, Answered)


def _say(held: Held, side: str) -> list[Any]:
    held.tell(
        Say(request="r", messages=QUESTION, adapters=(side,), max_new_tokens=16, temperature=0.0)
    )
    events = held.until(lambda event: isinstance(event, Answered | Refused))
    return [event for event in events if isinstance(event, Answered | Refused)]
