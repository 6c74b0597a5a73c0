"""From samples to token ids, and which of them are trained."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tokenizers import Encoding, Tokenizer

from studio.core.errors import StudioError
from studio.core.recipe import DataPart, TrainOn
from studio.library import chat_templates
from studio.preparer.messages import BadRow, Sample
from studio.preparer.spans import Rendered, render
from studio.preparer.template import Span, Template

UNTRAINED = -100
_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<turn|>", "<|end|>", "</s>")


class Tokens(msgspec.Struct, frozen=True):
    """One row as the model sees it, before it is cut.

    `trained` says for each id whether its prediction is learnt; the first never is, since
    nothing stands before it. `offsets` are spans in `text`, in characters. `ends` says that
    an answer's last trained token is a special one, `merged` that a token spans the border between
    prompt and answer, `folded` that the system message joined the user's, `control` that a message
    itself says a control token.
    """

    text: str
    ids: list[int]
    trained: list[bool]
    offsets: list[Span]
    ends: bool = True
    merged: bool = False
    folded: bool = False
    control: bool = False

    def labels(self, length: int) -> list[int]:
        """The first `length` ids, UNTRAINED in place of those that aren't trained."""
        pairs = zip(self.ids[:length], self.trained[:length], strict=True)
        return [token if trained else UNTRAINED for token, trained in pairs]


class Encoder:
    """The tokenizer and chat template of a model folder.

    Raises StudioError where the folder has no tokenizer.json or a broken one.
    """

    def __init__(self, folder: Path) -> None:
        self.tokenizer = _tokenizer(folder)
        self.template = Template(folder)
        added = self.tokenizer.get_added_tokens_decoder()
        self._ends = _end_ids(folder, self.tokenizer)
        self.special = {i for i, token in added.items() if token.special} | self._ends
        control = sorted((added[i].content for i in self.special if i in added), key=len)
        self._control = re.compile("|".join(map(re.escape, reversed(control))) or "(?!)")
        names = chat_templates.special_tokens(folder)
        self._bos = self.tokenizer.token_to_id(names.get("bos_token", ""))
        self._eos = self.tokenizer.token_to_id(names.get("eos_token", ""))

    def encode(self, samples: Sequence[Sample], data: DataPart) -> list[Tokens | BadRow]:
        """Each sample's tokens, or why it has none, in their order."""
        rendered = [self._rendered(sample) for sample in samples]
        texts = [r.text for r in rendered if isinstance(r, Rendered)]
        chats = iter(self.tokenizer.encode_batch(texts, add_special_tokens=False))
        return [
            r
            if isinstance(r, BadRow | Tokens)
            else self._plain(r, data.train_on)
            if isinstance(r, str)
            else self._chat(r, next(chats), sample, data.train_on)
            for r, sample in zip(rendered, samples, strict=True)
        ]

    def count(self, text: str) -> int:
        """How many tokens the text is, special ones aside that the tokenizer would add."""
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def spelt(self, tokens: Tokens) -> Tokens:
        """Given token ids with the text that each of them stands for."""
        pieces = self.tokenizer.decode_batch([[i] for i in tokens.ids], skip_special_tokens=False)
        ends = list(itertools.accumulate(map(len, pieces)))
        offsets = list(itertools.pairwise([0, *ends]))
        return msgspec.structs.replace(tokens, text="".join(pieces), offsets=offsets)

    def _given(self, sample: Sample) -> Tokens | BadRow:
        """A row that brings its token ids; its labels say what is trained."""
        if max(sample.ids) >= self.tokenizer.get_vocab_size():
            return BadRow(
                f"has the token id {max(sample.ids)}, which the model doesn't know",
                "Tokenize the rows with the tokenizer of this model.",
            )
        trained = [label != UNTRAINED for label in sample.labels]
        trained[0] = False
        return Tokens("", list(sample.ids), trained, [(0, 0)] * len(sample.ids))

    def _rendered(self, sample: Sample) -> Rendered | Tokens | str | BadRow:
        if sample.ids:
            return self._given(sample)
        if not sample.messages:
            return sample.text
        try:
            return render(self.template, sample.messages)
        except BadRow as bad:
            return bad

    def _plain(self, text: str, train_on: TrainOn) -> Tokens:
        """A text between the tokens that begin and end one; all of it is trained."""
        encoding = self.tokenizer.encode(text)
        ids, offsets = list(encoding.ids), list(encoding.offsets)
        if self._bos is not None and ids[:2] == [self._bos] * 2:
            del ids[0], offsets[0]
        if self._eos is not None and ids[-1:] != [self._eos]:
            ids.append(self._eos)
            offsets.append((len(text), len(text)))
        return Tokens(text, ids, [False] + [True] * (len(ids) - 1), offsets)

    def _chat(
        self, rendered: Rendered, encoding: Encoding, sample: Sample, train_on: TrainOn
    ) -> Tokens:
        ids, offsets = encoding.ids, encoding.offsets
        starts = [start for start, _ in offsets]
        spans = rendered.spans[-1:] if train_on == "last" else rendered.spans
        ranges = [self._range(rendered.text, ids, offsets, starts, span) for span in spans]
        trained = [train_on == "everything"] * len(ids)
        for first, behind in ranges:
            trained[first:behind] = [True] * (behind - first)
        trained[:1] = [False]
        return Tokens(
            rendered.text,
            ids,
            trained,
            offsets,
            ends=all(behind and ids[behind - 1] in self.special for _, behind in ranges),
            merged=any(_merged(offsets, r[0], s) for r, s in zip(ranges, spans, strict=True)),
            folded=rendered.folded,
            control=any(self._control.search(m["content"]) for m in sample.messages),
        )

    def _range(
        self, text: str, ids: list[int], offsets: list[Span], starts: list[int], span: Span
    ) -> tuple[int, int]:
        """The tokens of an answer, up to and with the token that ends its turn."""
        first, behind = (bisect_left(starts, border) for border in span)

        def blank(index: int) -> bool:
            return ids[index] not in self.special and not text[slice(*offsets[index])].strip()

        last = behind
        while last > first and blank(last - 1):
            last -= 1
        if last > first and ids[last - 1] in self.special:
            return first, last
        end = last
        while end < len(ids) and blank(end):
            end += 1
        found = end < len(ids) and ids[end] in self._ends
        return first, end + 1 if found else behind


def _merged(offsets: list[Span], first: int, span: Span) -> bool:
    return first > 0 and offsets[first - 1][1] > span[0]


def _tokenizer(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise StudioError(
            "Model has no tokenizer",
            f"“{folder.name}” has no tokenizer.json, without which no text becomes tokens.",
            "Download the model's tokenizer.json into its folder.",
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing narrower
        raise StudioError(
            "Tokenizer is damaged",
            f"tokenizer.json of “{folder.name}” can't be read: {error}.",
            "Download or copy the model again.",
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _end_ids(folder: Path, tokenizer: Tokenizer) -> set[int]:
    """Every token at which answers stop, by the model's files and by the usual names."""
    ends: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        value = chat_templates.read_json(folder / name).get("eos_token_id")
        ends |= {i for i in (value if isinstance(value, list) else [value]) if isinstance(i, int)}
    names = (*_ENDS, chat_templates.special_tokens(folder).get("eos_token", ""))
    added = {token.content: i for i, token in tokenizer.get_added_tokens_decoder().items()}
    return ends | {added[name] for name in names if name in added}
