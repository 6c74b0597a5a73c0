"""Facts that others measure or read and the core reasons about: machine, model, dataset."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from studio.core.findings import Finding, LanguageRows, RowRef
from studio.core.lengths import Lengths
from studio.core.problem import Problem

Vendor = Literal["nvidia", "amd", "intel", "apple"]


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One card as its driver shows it now. Bytes, per cent, degrees Celsius, watts.

    `ours_bytes` is what our own engines hold of `used_bytes`, None where the driver doesn't tell
    which program holds how much. A card that only torch sees has the figures of the last look.
    """

    index: int
    name: str
    total_bytes: int
    used_bytes: int
    free_bytes: int
    ours_bytes: int | None = None
    utilisation: int | None = None
    temperature: int | None = None
    power: float | None = None
    power_limit: float | None = None
    compute_capability: tuple[int, int] | None = None
    driver: str = ""
    uuid: str = ""
    vendor: Vendor = "nvidia"

    @property
    def others_bytes(self) -> int:
        """What other programs hold; all that is used where nobody says what is ours."""
        return max(0, self.used_bytes - (self.ours_bytes or 0))


Ability = Literal["keep-awake", "sleep", "shut-down"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """This machine now. Bytes. `reserve_bytes` is what the user keeps for the desktop.

    `gpus` are the cards that a run can use, `card` the index of the one that it would use, and
    `idle_gpus` those that torch sees and the studio doesn't train on. `on_battery` is None where
    there is no battery; `abilities` is what the system lets the keeper do, as found when the
    keeper began.
    """

    gpus: tuple[Gpu, ...] = ()
    card: int = 0
    idle_gpus: tuple[Gpu, ...] = ()
    cpu: str = ""
    cores: int = 1
    ram_total_bytes: int = 0
    ram_free_bytes: int = 0
    disk_free_bytes: int = 0
    reserve_bytes: int = 0
    bf16_cpu: bool = False
    on_battery: bool | None = None
    abilities: tuple[Ability, ...] = ()
    time: float = 0.0

    @property
    def gpu(self) -> Gpu | None:
        """The card that a run would use; None where it would use the processor."""
        if not self.gpus:
            return None
        return self.gpus[self.card if self.card < len(self.gpus) else 0]


def chosen_card(gpus: tuple[Gpu, ...], wanted: str = "") -> int:
    """The index of the card that a run uses: the one `wanted` (its UUID, its number, or a part of
    its name), else the one with the most free memory; 0 without cards."""
    text = wanted.strip().lower()
    for index, gpu in enumerate(gpus):
        if text and text in (gpu.uuid.lower(), str(gpu.index)):
            return index
    named = [i for i, gpu in enumerate(gpus) if text and text in gpu.name.lower()]
    return max(named or range(len(gpus)), key=lambda i: gpus[i].free_bytes, default=0)


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A model folder from its config and safetensors headers; no weight is loaded.

    `config` is config.json. `linear_modules` are the last names of the linear layers that
    adapters can target, lm_head aside. `tensor_bytes` is the size of all weights on disk.
    """

    path: str
    name: str = ""
    architecture: str = ""
    model_type: str = ""
    config: dict[str, Any] = {}
    parameters: int = 0
    tensor_bytes: int = 0
    dtype: str = ""
    context_length: int = 0
    licence: str = ""
    has_chat_template: bool = False
    linear_modules: tuple[str, ...] = ()
    digest: str = ""
    problems: tuple[Problem, ...] = ()


TokenKind = Literal["trained", "context", "cut"]


class TokenPiece(msgspec.Struct, frozen=True, kw_only=True):
    """One token as the model will see it."""

    id: int
    text: str
    kind: TokenKind
    special: bool = False


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """What else a dataset might be, with the columns that it would be read by."""

    format: str
    confidence: float
    reason: str = ""
    roles: dict[str, str] = {}
    learnt: str = ""


class FirstRows(msgspec.Struct, frozen=True, kw_only=True):
    """The first rows of a dataset as short texts, one for each column, and how they are read.

    `readings` are what they may be read as by themselves, the likeliest first; `format`, `roles`,
    `learnt` and `unmapped` belong to the mapping asked for. `says` is what row `shown_row` (from
    0) comes to: role and text of each message, or "text" and the text. `problem` says why the
    mapping comes to nothing.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    readings: tuple[Alternative, ...] = ()
    format: str = ""
    roles: dict[str, str] = {}
    learnt: str = ""
    unmapped: tuple[str, ...] = ()
    shown_row: int = 0
    says: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    fix: str = ""


class DatasetPiece(msgspec.Struct, frozen=True, kw_only=True):
    """One of the datasets of a recipe, by itself.

    `path` is as the recipe names it, `revision` the commit of a hub dataset's copy. `files` are
    read, the first of them being of the kind `kind`. `rows` are those taken (see
    DatasetPart.limit), `passed_rows` sound ones that are not to be learnt, such as answers marked
    as bad.
    """

    path: str
    kind: str = ""
    encoding: str = ""
    files: int = 0
    revision: str = ""
    format: str = ""
    confidence: float = 0.0
    reason: str = ""
    learnt: str = ""
    columns: tuple[str, ...] = ()
    roles: dict[str, str] = {}
    unmapped: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    weight: float = 1.0
    limit: int = 0
    rows: int = 0
    usable_rows: int = 0
    evaluation_rows: int = 0
    passed_rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0


class DatasetReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the dataset page shows and the command line prints.

    `format`, `columns` and their like are those of the least certain dataset; `parts` has all
    of them by themselves. `kind` is what its file is, `learnt` what of a row is learnt,
    `unmapped` are columns that nothing is learnt from, `passed_rows` sound rows that are not to
    be learnt. `trained_share` is trained tokens over all kept tokens. `histogram` counts rows by
    token length in bins of `bin_tokens`. Without a model there are no token figures (0).

    `lengths` is what any other sequence length would do, `padding_share` and `packing_share` its
    figures at the length asked for. `findings` are those of the rows as they stand in the files;
    `dropped` and `repaired` count rows by the rule of the recipe that leaves them out or mends
    them, and `kept_rows` are left, `eval_rows` of them held out. `typical` rows are most like the
    others in words and length, `unusual` rows least.
    """

    path: str
    format: str
    confidence: float
    reason: str = ""
    columns: tuple[str, ...] = ()
    roles: dict[str, str] = {}
    kind: str = ""
    encoding: str = ""
    learnt: str = ""
    unmapped: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    parts: tuple[DatasetPiece, ...] = ()
    rows: int = 0
    usable_rows: int = 0
    passed_rows: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    trained_share: float = 0.0
    max_tokens: int = 0
    mean_tokens: float = 0.0
    cut_rows: int = 0
    bin_tokens: int = 0
    histogram: tuple[int, ...] = ()
    lengths: Lengths = Lengths()
    padding_share: float = 0.0
    packing_share: float = 0.0
    findings: tuple[Finding, ...] = ()
    typical: tuple[RowRef, ...] = ()
    unusual: tuple[RowRef, ...] = ()
    languages: tuple[LanguageRows, ...] = ()
    kept_rows: int = 0
    eval_rows: int = 0
    dropped: dict[str, int] = {}
    repaired: dict[str, int] = {}
    template: str = ""
    problems: tuple[Problem, ...] = ()


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One row for the token lens. `problem` says why it has no tokens; `checks` are what is wrong
    with those it has."""

    row: int
    pieces: tuple[TokenPiece, ...] = ()
    problem: str = ""
    checks: tuple[Problem, ...] = ()


class TemplateChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A chat template that may be chosen for a model.

    `name` is what a recipe's data.template says ("" is the model's own, or ChatML where it has
    none). `missing` are the tokens it is built of that the model has not as single tokens;
    `preview` is a short chat as it writes it, `problem` why it can't.
    """

    name: str
    source: str
    missing: tuple[str, ...] = ()
    preview: str = ""
    problem: str = ""

    @property
    def fits(self) -> bool:
        """Whether the model knows every token that the template is built of."""
        return not self.missing and not self.problem


class PreparedPart(msgspec.Struct, frozen=True, kw_only=True):
    """What one dataset of the recipe gave: rows written (repeated ones as often as they are),
    rows that could not be used, and the commit of a hub dataset."""

    path: str
    train_rows: int = 0
    eval_rows: int = 0
    train_tokens: int = 0
    left_out: int = 0
    revision: str = ""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """data/manifest.json: what lies in train.arrow and eval.arrow beside it.

    Both hold the columns input_ids and labels (list<int32>; -100 is not trained). `template`
    says where the chat template came from, `chat_template` is its text. `digest` stands for both
    files' content. Token figures are those of the training rows. `dropped` and `repaired` count
    rows by the rule of the recipe that left them out or mended them.
    """

    train_rows: int
    eval_rows: int
    train_tokens: int
    trained_tokens: int
    max_tokens: int
    max_length: int
    template: str
    digest: str
    score_rows: str = ""
    chat_template: str = ""
    template_digest: str = ""
    tokenizer_digest: str = ""
    seed: int = 0
    dropped: dict[str, int] = {}
    repaired: dict[str, int] = {}
    parts: tuple[PreparedPart, ...] = ()
