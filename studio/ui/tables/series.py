"""Points of a plot: buffers that grow by doubling, and reduced to what a screen can show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_FIRST = 1024


class Series:
    """Points in order of x. A y that nobody knows is NaN."""

    def __init__(self) -> None:
        self._points = np.empty((2, _FIRST))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def x(self) -> Floats:
        """A view, valid until the series grows."""
        return self._points[0, : self._count]

    @property
    def y(self) -> Floats:
        """A view, valid until the series grows."""
        return self._points[1, : self._count]

    def extend(self, xs: Sequence[float], ys: Sequence[float | None]) -> None:
        """Append points; None becomes NaN."""
        end = self._count + len(xs)
        if end > self._points.shape[1]:
            grown = np.empty((2, max(end, 2 * self._points.shape[1])))
            grown[:, : self._count] = self._points[:, : self._count]
            self._points = grown
        self._points[0, self._count : end] = xs
        self._points[1, self._count : end] = np.array(ys, dtype=np.float64)
        self._count = end

    def cut(self, x: float) -> None:
        """Drop every point behind x."""
        self._count = int(np.searchsorted(self.x, x, side="right"))

    def last(self) -> float | None:
        """The last y that is known."""
        known = self.y[np.isfinite(self.y)]
        return float(known[-1]) if len(known) else None


class Smoothed(Series):
    """An exponential moving average of what is added, corrected for its start.

    The bias correction is that of Adam's moments (Kingma & Ba 2015, section 3): the average is
    divided by 1 - weight**n, so that the first points aren't drawn towards zero.
    """

    def __init__(self, weight: float = 0.9) -> None:
        super().__init__()
        self._weight = weight
        self._sums: list[tuple[float, int]] = []

    def set_weight(self, weight: float) -> None:
        """Smooth otherwise from the first point on; without effect once there are points."""
        if not len(self):
            self._weight = weight

    def extend(self, xs: Sequence[float], ys: Sequence[float | None]) -> None:
        total, count = self._sums[-1] if self._sums else (0.0, 0)
        smooth: list[float | None] = []
        for y in ys:
            if y is not None:
                total = self._weight * total + (1 - self._weight) * y
                count += 1
            self._sums.append((total, count))
            smooth.append(total / (1 - self._weight**count) if count else None)
        super().extend(xs, smooth)

    def cut(self, x: float) -> None:
        super().cut(x)
        del self._sums[len(self) :]


def outline(x: Floats, y: Floats, buckets: int) -> tuple[Floats, Floats]:
    """At most about `2 * buckets` points that look the same: each bucket's lowest and highest.

    Few points are given back as they are. Gaps (NaN) stay gaps only where a whole bucket is one.
    """
    size = len(x) // max(1, buckets)
    if size < 2:
        return x, y
    whole = len(x) // size * size
    folded = y[:whole].reshape(-1, size)
    xs = np.repeat(x[:whole:size], 2)
    ys = np.empty(len(xs))
    ys[0::2] = np.fmin.reduce(folded, axis=1)
    ys[1::2] = np.fmax.reduce(folded, axis=1)
    return np.concatenate([xs, x[whole:]]), np.concatenate([ys, y[whole:]])


def highest(x: Floats, y: Floats, buckets: int) -> tuple[Floats, Floats]:
    """At most about `buckets` points, each bucket's highest: for what must not be understated."""
    size = len(x) // max(1, buckets)
    if size < 2:
        return x, y
    whole = len(x) // size * size
    ys = np.fmax.reduce(y[:whole].reshape(-1, size), axis=1)
    xs = x[size - 1 : whole : size]
    return np.concatenate([xs, x[whole:]]), np.concatenate([ys, y[whole:]])


def sampled(x: Floats, y: Floats, buckets: int) -> tuple[Floats, Floats]:
    """At most about `buckets` points, the last among them: for curves without noise."""
    size = len(x) // max(1, buckets)
    if size < 2:
        return x, y
    start = (len(x) - 1) % size
    return x[start::size], y[start::size]


def nearest(series: Series, x: float | None) -> tuple[float, float] | None:
    """The point closest to x, where its y is known."""
    if x is None or not len(series):
        return None
    after = int(np.clip(np.searchsorted(series.x, x), 0, len(series) - 1))
    before = max(0, after - 1)
    at = before if abs(series.x[before] - x) < abs(series.x[after] - x) else after
    value = float(series.y[at])
    return (float(series.x[at]), value) if np.isfinite(value) else None
