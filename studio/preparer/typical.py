"""The rows that are most like the others, and those that are least.

Each row is a vector of its words, hashed; how far it points from the mean of all rows is counted
in standard deviations, and so is its length (the logarithm of its words). The sum of both says
how unusual a row is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SHOWN = 10
_FEWEST = 20
_CHUNK = 1 << 15
_FAR = 2.0

Places = npt.NDArray[np.int64]
Named = list[tuple[int, str]]


def found(vectors: npt.NDArray[np.int8], words: Places, rows: Places) -> tuple[Named, Named]:
    """The most typical and the most unusual of these rows, each with what is unusual of it;
    nothing where there are too few to say."""
    rows = rows[words[rows] > 0]
    if len(rows) < _FEWEST:
        return [], []
    chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]
    centre = sum(vectors[chunk].astype(np.float64).sum(axis=0) for chunk in chunks)
    away = np.concatenate([-(vectors[chunk].astype(np.float64) @ centre) for chunk in chunks])
    other, length = _deviations(away), _deviations(np.log(words[rows]))
    order = np.argsort(np.maximum(other, 0) + np.abs(length), kind="stable")
    most = [(int(rows[place]), "") for place in order[:SHOWN]]
    least = [(int(rows[place]), _why(other[place], length[place])) for place in order[::-1][:SHOWN]]
    return most, least


def _deviations(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    spread = values.std()
    return np.asarray((values - values.mean()) / (spread if spread > 1e-9 else 1.0))


def _why(other: float, length: float) -> str:
    said = []
    if other > _FAR:
        said.append("other words than most rows")
    if abs(length) > _FAR:
        said.append(f"much {'longer' if length > 0 else 'shorter'} than most rows")
    return ", ".join(said)
