"""From samples to token ids, and which of them are trained."""

from __future__ import annotations

import itertools
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from tokenizers import Encoding, Tokenizer

from studio.core.errors import StudioError
from studio.core.recipe import DataPart, TrainOn
from studio.library import chat_templates
from studio.preparer.messages import BadRow, Message, Sample
from studio.preparer.rendering import Renderer
from studio.preparer.spans import Chat, Rendered
from studio.preparer.template import Span

UNTRAINED = -100
_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<turn|>", "<|end|>", "</s>")


class Tokens(msgspec.Struct, frozen=True):
    """One row as the model sees it, before it is cut.

    `trained` says for each id whether its prediction is learnt; the first never is, since
    nothing stands before it. `offsets` are spans in `text`, in characters. `answers` are the
    ranges of ids that are the assistant's, each with the token that ends its turn.

    `ends` says that every answer's last token is one that ends a turn, `proved` that the ids of
    every answer read back as its words, `doubled` that the text begins twice, `merged` that a
    token spans the border between prompt and answer, `folded` that the system message joined the
    user's, `control` that a message itself says a control token.
    """

    text: str
    ids: list[int]
    trained: list[bool]
    offsets: list[Span]
    answers: tuple[Span, ...] = ()
    ends: bool = True
    proved: bool = True
    doubled: bool = False
    merged: bool = False
    folded: bool = False
    control: bool = False

    def labels(self, length: int) -> list[int]:
        """The first `length` ids, UNTRAINED in place of those that aren't trained."""
        pairs = zip(self.ids[:length], self.trained[:length], strict=True)
        return [token if trained else UNTRAINED for token, trained in pairs]


class Encoder:
    """The tokenizer of a model folder, and the chat template that `data` chooses for it.

    Raises StudioError where the folder has no tokenizer.json or a broken one, or where the
    template can't be found; `encode` and `prompt` as Renderer does.
    """

    def __init__(self, folder: Path, data: DataPart | None = None) -> None:
        self.data = data or DataPart()
        self.tokenizer = _tokenizer(folder)
        template = chat_templates.chosen(folder, self.data.template)
        missing = tuple(mark for mark in template.marks if not self.knows(mark))
        self.template = msgspec.structs.replace(template, missing=missing)
        names = chat_templates.special_tokens(folder)
        self._renderer = Renderer(self.template, names)
        added = self.tokenizer.get_added_tokens_decoder()
        self._ends = _end_ids(folder, self.tokenizer)
        self.special = {i for i, token in added.items() if token.special} | self._ends
        control = sorted((added[i].content for i in self.special if i in added), key=len)
        self._control = re.compile("|".join(map(re.escape, reversed(control))) or "(?!)")
        self._bos = self.tokenizer.token_to_id(names.get("bos_token", ""))
        self._eos = self.tokenizer.token_to_id(names.get("eos_token", ""))

    def encode(
        self, samples: Sequence[Sample], data: DataPart | None = None
    ) -> list[Tokens | BadRow]:
        """Each sample's tokens, or why it has none, in their order."""
        train_on = (data or self.data).train_on
        chats = [self._asked(sample) for sample in samples if not sample.ids and sample.messages]
        rendered = self._renderer.rendered(chats) if chats else []
        texts = [r.text for r in rendered if isinstance(r, Rendered)]
        encodings = iter(self.tokenizer.encode_batch(texts, add_special_tokens=False))
        plain = [sample.text for sample in samples if not sample.ids and not sample.messages]
        texts_made = map(self._plain, plain, self.tokenizer.encode_batch(plain))
        waiting = iter(rendered)
        made = [
            self._given(sample)
            if sample.ids
            else self._made(sample, waiting, encodings, train_on)
            if sample.messages
            else next(texts_made)
            for sample in samples
        ]
        return self._proved(made)

    def render(self, sample: Sample) -> str:
        """The text of a chat with every special token; BadRow where the template refuses it."""
        (row,) = self._renderer.rendered([self._asked(sample)])
        if isinstance(row, BadRow):
            raise row
        return row.text

    def prompt(self, messages: Sequence[Message]) -> str:
        """The text of a chat up to where the next answer would begin; BadRow if refused."""
        return self._renderer.prompt(Chat(tuple(messages)))

    def knows(self, mark: str) -> bool:
        """Whether the tokenizer makes one token of a text."""
        return len(self.tokenizer.encode(mark, add_special_tokens=False).ids) == 1

    def close(self) -> None:
        """End the process in which the template runs."""
        self._renderer.close()

    def __enter__(self) -> Encoder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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

    def _asked(self, sample: Sample) -> Chat:
        """The chat, with the recipe's system message where it brings none."""
        messages = sample.messages
        if self.data.system_prompt and messages[0]["role"] not in ("system", "developer"):
            messages = ({"role": "system", "content": self.data.system_prompt}, *messages)
        return Chat(messages, sample.tools)

    def _made(
        self,
        sample: Sample,
        rendered: Iterator[Rendered | BadRow],
        encodings: Iterator[Encoding],
        train_on: TrainOn,
    ) -> Tokens | BadRow:
        row = next(rendered)
        return (
            row if isinstance(row, BadRow) else self._chat(row, next(encodings), sample, train_on)
        )

    def _proved(self, rows: list[Tokens | BadRow]) -> list[Tokens | BadRow]:
        """The rows, marked where the ids of an answer don't read back as its words."""
        said = [(place, words) for place, row in enumerate(rows) for words in self._words(row)]
        read = self.tokenizer.decode_batch([ids for _, (ids, _) in said], skip_special_tokens=False)
        for (place, (_, text)), decoded in zip(said, read, strict=True):
            row = rows[place]
            if isinstance(row, Tokens) and row.proved and not _same(decoded, text):
                rows[place] = msgspec.structs.replace(row, proved=False)
        return rows

    def _words(self, row: Tokens | BadRow) -> Iterator[tuple[list[int], str]]:
        """Of each answer the ids and the text that they stand for, without what ends the turn."""
        if isinstance(row, BadRow):
            return
        for first, behind in row.answers:
            last = behind - 1 if row.ids[behind - 1] in self._ends else behind
            if first < last:
                text = row.text[row.offsets[first][0] : row.offsets[last - 1][1]]
                yield row.ids[first:last], text

    def _plain(self, text: str, encoding: Encoding) -> Tokens:
        """A text between the tokens that begin and end one; all of it is trained."""
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
            tuple(ranges),
            ends=all(behind and ids[behind - 1] in self._ends for _, behind in ranges),
            proved=all(_covers(offsets, *pair) for pair in zip(ranges, spans, strict=True)),
            doubled=self._bos is not None and ids[:2] == [self._bos] * 2,
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
            return first, self._first_end(ids, blank, first, last)
        end = last
        while end < len(ids) and blank(end):
            end += 1
        found = end < len(ids) and ids[end] in self._ends
        return first, end + 1 if found else behind

    def _first_end(
        self, ids: list[int], blank: Callable[[int], bool], first: int, last: int
    ) -> int:
        """Where the turn ends, although another end may follow, such as that of the text."""
        end = last
        while end > first and (blank(end - 1) or ids[end - 1] in self._ends):
            if ids[end - 1] in self._ends:
                last = end
            end -= 1
        return last


def _covers(offsets: list[Span], tokens: Span, span: Span) -> bool:
    """Whether tokens stand for all that an answer's span holds, and nothing before it."""
    inside = offsets[tokens[0] : tokens[1]]
    if not inside:
        return False
    gap = any(after[0] > before[1] for before, after in itertools.pairwise(inside))
    return not gap and span[0] <= inside[0][0]


def _same(decoded: str, text: str) -> bool:
    """Whether a decoded text is the same; tokenizers drop a first blank and compose letters."""
    if decoded == text:
        return True
    one, other = (unicodedata.normalize("NFC", said).strip() for said in (decoded, text))
    return one == other


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
