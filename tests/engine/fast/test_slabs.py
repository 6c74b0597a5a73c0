"""Memory of kept and of passing tensors: used again only when nobody uses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from studio.engine.fast import slabs

CPU = torch.device("cpu")
KIB = 1 << 10


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pieces of a KiB, and none of another test."""
    monkeypatch.setattr(slabs, "BYTES", KIB)
    monkeypatch.setattr(slabs, "_LEAST", 64)
    slabs.clear()
    yield
    slabs.clear()


def place(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def filled(value: float, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return slabs.empty(shape, dtype, CPU).fill_(value)


def test_tensors_lie_beside_one_another_and_never_in_one_another() -> None:
    kept = [
        filled(number, 3, 5, dtype=dtype)
        for number, dtype in enumerate((torch.float32, torch.bfloat16, torch.int32, torch.float32))
    ]
    assert len({place(tensor) for tensor in kept}) == 1
    assert [float(tensor.float().mean()) for tensor in kept] == [0, 1, 2, 3]
    assert all(tensor.is_contiguous() and tensor._base is None for tensor in kept)


def test_a_full_piece_is_followed_by_another() -> None:
    kept = [filled(number, KIB // 8) for number in range(6)]
    assert len({place(tensor) for tensor in kept}) == 3
    assert [float(tensor.mean()) for tensor in kept] == list(range(6))
    assert filled(7, KIB).shape == (KIB,), "larger than a piece"


def test_a_piece_is_used_again_once_nothing_of_it_is_left() -> None:
    first, second = filled(1, KIB // 8), filled(2, KIB // 8)
    where = place(first)
    view = second[:3]
    del first, second
    assert place(filled(3, KIB // 8)) != where, "a view is a use"
    assert view.tolist() == [2, 2, 2]
    del view
    assert place(filled(4, KIB // 8)) == where


def test_a_change_of_one_is_no_change_of_another() -> None:
    """Else torch would refuse to go backwards."""
    weight = torch.ones(4, requires_grad=True)
    kept, other = slabs.keep(torch.full((4,), 3.0)), filled(0, 4)
    product = weight * kept
    other.fill_(9)
    product.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3, 3, 3, 3]


def test_what_is_kept_is_copied_once() -> None:
    given = torch.arange(6.0).view(2, 3).t()
    kept = slabs.keep(given)
    assert place(kept) != place(given)
    assert torch.equal(kept, given)
    assert place(slabs.keep(kept)) == place(kept)
    assert place(slabs.keep(kept[1:])) == place(kept)


def test_only_results_that_are_kept_lie_there() -> None:
    def result() -> torch.Tensor:
        return slabs.result((4,), torch.float32, CPU)

    kept = filled(1, 4)
    with slabs.results_kept():
        inside = result()
    with torch.no_grad(), slabs.results_kept():
        unlearnt = result()
    assert place(inside) == place(kept)
    assert place(kept) not in (place(result()), place(unlearnt))


def passing(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return slabs.passing(shape, dtype, CPU)


def test_what_passed_makes_room_for_the_next_and_what_stays_is_left_alone() -> None:
    stays, passes = passing(KIB).fill_(1), passing(KIB).fill_(2)
    where = place(passes)
    assert place(stays) != where
    view = passes[3:7]
    del passes
    third = passing(KIB).fill_(3)
    assert place(third) not in (place(stays), where), "a view is a use"
    del view
    assert place(passing(KIB - 100, dtype=torch.bfloat16)) == where
    assert bool((stays == 1).all())
    assert bool((third == 3).all())


def test_the_smallest_that_fits_is_taken() -> None:
    large, small = passing(8 * KIB), passing(KIB)
    places = place(large), place(small)
    del large, small
    one, two = passing(KIB), passing(KIB)
    assert (place(two), place(one)) == places


def test_a_longer_one_comes_in_place_of_one_too_short() -> None:
    for tokens in (KIB, 2 * KIB, 3 * KIB):
        gone = [passing(tokens), passing(tokens)]
        del gone
    assert len(slabs._passing._slabs) == 2


def test_lengths_that_are_alike_share_a_buffer() -> None:
    where = {place(passing(tokens)) for tokens in range(1100, 1200, 10)}
    assert len(where) == 1


def test_each_has_memory_of_its_own_where_they_are_counted() -> None:
    with slabs.off():
        assert place(filled(1, 4)) != place(filled(2, 4))
        slabs.passing((KIB,), torch.float32, CPU)
        assert not slabs._passing._slabs
        given = torch.ones(4)
        assert place(slabs.keep(given)) == place(given)
    assert place(slabs.keep(given)) != place(given)
