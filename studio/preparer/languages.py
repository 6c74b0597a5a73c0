"""Which language a row is in: said only when sure.

The script decides where it is written in one language; else the words that texts in a language
are full of. A row is sure when it has enough of them, and clearly more than of any other language.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from studio.preparer.language_words import COMMON, OWN_LANGUAGE, SCRIPTS, SPELT
from studio.preparer.words import Batch, numbers

UNSURE = -1
_LETTERS = 20
_LOOKED_AT = 4000
_OF_ONE_SCRIPT = 0.8
_WORDS = 8
_COMMON_SHARE = 0.18
_CLEARLY = 1.6

_script_names = list(dict.fromkeys(name for _, _, name in SCRIPTS))
_several = set(SPELT)
NAMES = [
    *COMMON,
    "Japanese",
    *(OWN_LANGUAGE.get(n, n) for n in _script_names if n not in _several and n != "Kana"),
]
"""Languages by their number."""

_begins = np.array([begin for begin, _, _ in SCRIPTS], np.uint32)
_ends = np.array([end for _, end, _ in SCRIPTS], np.uint32)
_script = np.array([_script_names.index(name) for _, _, name in SCRIPTS])
_words = sorted(
    (int(number), language)
    for language, said in enumerate(COMMON.values())
    for number in numbers(said.split())
)
_known = np.unique(np.array([number for number, _ in _words], np.uint32))
_in_language = np.zeros((len(_known), len(COMMON)), np.int32)
for _number, _language in _words:
    _in_language[np.searchsorted(_known, _number), _language] = 1

Languages = npt.NDArray[np.int8]


def of_rows(texts: Sequence[str], batch: Batch) -> Languages:
    """The language of each text, whose words are in `batch`; UNSURE where it isn't plain."""
    scripts = _scripts(texts)
    whole = scripts.sum(axis=1)
    kana, han = _script_names.index("Kana"), _script_names.index("Chinese")
    japanese = (scripts[:, kana] * 10 >= scripts[:, han]) & (scripts[:, kana] > 0)
    scripts[japanese, kana] += scripts[japanese, han]
    scripts[japanese, han] = 0
    main = scripts.argmax(axis=1)
    sure = (whole >= _LETTERS) & (scripts.max(axis=1) >= _OF_ONE_SCRIPT * whole)
    spoken = _by_words(batch)
    found = np.full(len(texts), UNSURE, np.int8)
    for place, name in enumerate(_script_names):
        rows = sure & (main == place)
        if name in SPELT:
            own = [list(COMMON).index(language) for language in SPELT[name]]
            found[rows] = np.where(np.isin(spoken[rows], own), spoken[rows], UNSURE)
        else:
            called = "Japanese" if name == "Kana" else OWN_LANGUAGE.get(name, name)
            found[rows] = NAMES.index(called)
    return found


def _scripts(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Letters of each script in each text."""
    looked_at = [text[:_LOOKED_AT] for text in texts]
    joined = "".join(looked_at).encode("utf-32-le", "surrogatepass")
    letters = np.frombuffer(joined, np.uint32)
    row = np.repeat(np.arange(len(texts)), [len(text) for text in looked_at])
    place = np.searchsorted(_begins, letters, side="right") - 1
    small = letters < 0x80
    is_letter = (place >= 0) & (letters <= _ends[np.maximum(place, 0)])
    is_letter &= ~small | ((letters | 0x20) - np.uint32(0x61) < 26)
    counts = np.zeros((len(texts), len(_script_names)), np.int64)
    np.add.at(counts, (row[is_letter], _script[place[is_letter]]), 1)
    return counts


def _by_words(batch: Batch) -> Languages:
    """The language whose common words are clearly the most frequent."""
    place = np.minimum(np.searchsorted(_known, batch.numbers), len(_known) - 1)
    hit = _known[place] == batch.numbers
    counts = np.zeros((batch.rows, len(COMMON)), np.int32)
    np.add.at(counts, batch.row[hit], _in_language[place[hit]])
    if not batch.rows:
        return np.zeros(0, np.int8)
    first = counts.argmax(axis=1)
    most = counts.max(axis=1)
    second = np.partition(counts, -2, axis=1)[:, -2]
    sure = batch.counts >= _WORDS
    sure &= most >= np.maximum(3, _COMMON_SHARE * batch.counts)
    sure &= most >= _CLEARLY * np.maximum(second, 1)
    return np.where(sure, first, UNSURE).astype(np.int8)
