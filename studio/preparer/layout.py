"""Which files of a folder, an archive or a hub repository are which split of which configuration.

Names are relative, parted by “/”. What a README.md says under `configs` goes before what names
say; the rules are those of https://huggingface.co/docs/hub/datasets-data-files-configuration.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml

from studio.core.errors import StudioError
from studio.preparer.packed import SUFFIXES

STRUCTURED = (
    ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather",
)  # fmt: skip
PLAIN = (".txt", ".md", ".markdown")
OFFICE = (".xlsx", ".xlsm", ".ods", ".docx", ".odt")
KINDS = ", ".join(suffix.removeprefix(".") for suffix in (*STRUCTURED, *PLAIN, *SUFFIXES))
TRAIN = "train"

_EVALUATION = re.compile(
    r"(^|[^a-z])(valid|validation|val|dev|eval|evaluation|test|testing|heldout|held-out)([^a-z]|$)"
)
_TRAIN = re.compile(r"(^|[^a-z])train(ing)?([^a-z]|$)")
_NO_DATA = re.compile(
    r"(dataset_infos?|dataset_dict|state|studio|config|metadata|package|tokenizer\w*)\.json|"
    r"(cache-|tmp).*\.arrow|(readme|licen[sc]e|citation|changelog|notice)([._-].*)?",
    re.IGNORECASE,
)
_CONVERTED = re.compile(r"([^/]+)/([^/]+)/\d{4,}\.parquet")
_README_LIMIT = 2_000_000


class Chosen(NamedTuple):
    """The names to learn from, those held out, and what was chosen among."""

    train: list[str]
    evaluation: list[str]
    config: str = ""
    split: str = ""


Splits = dict[str, list[str]]


def choose(
    names: Iterable[str], readme: str, config: str, split: str, one_kind: bool = False
) -> Chosen:
    """The files of a configuration and split; empty names take the usual ones.

    With `one_kind` only files of the most frequent kind count, as the hub has it.
    Raises StudioError where there is no such thing, with what there is.
    """
    shown = [name for name in names if _is_data(name)]
    splits, config = _configured(shown, readme, config)
    if splits is None:
        splits = _named(_of_one_kind(shown) if one_kind else shown, split)
    if split:
        return Chosen(_of_split(splits, split), [], config, split)
    evaluation = {name for key, files in splits.items() if is_evaluation(key) for name in files}
    train = splits.get(TRAIN) or [n for files in splits.values() for n in files]
    train = [name for name in train if name not in evaluation]
    if not train:
        return Chosen(sorted(evaluation), [], config)
    return Chosen(train, sorted(evaluation), config)


def is_evaluation(text: str) -> bool:
    """Whether a name says test, validation and the like."""
    return bool(_EVALUATION.search(text.casefold()))


def configs_in(readme: str) -> list[dict[str, Any]]:
    """The configurations that a README.md describes in its first, YAML part."""
    found = re.match(r"\ufeff?---\r?\n(.*?)\r?\n---", readme[:_README_LIMIT], re.DOTALL)
    try:
        head = yaml.safe_load(found.group(1)) if found else None
    except (yaml.YAMLError, RecursionError):
        return []
    listed = head.get("configs") if isinstance(head, dict) else None
    described = listed if isinstance(listed, list) else []
    return [one for one in described if isinstance(one, dict) and _patterns(one)]


def _configured(names: Sequence[str], readme: str, config: str) -> tuple[Splits | None, str]:
    described = {str(one.get("config_name", "default")): one for one in configs_in(readme)}
    if not described:
        return _by_folder(names, config)
    if not config:
        default = [name for name, one in described.items() if one.get("default")]
        config = (default or [n for n in described if n == "default"] or [""])[0]
        if not config and len(described) > 1:
            raise _which(described)
        config = config or next(iter(described))
    if config not in described:
        raise _which(described, config)
    found = {split: _matching(names, globs) for split, globs in _patterns(described[config])}
    return {split: files for split, files in found.items() if files}, config


def _by_folder(names: Sequence[str], config: str) -> tuple[Splits | None, str]:
    """Without a README: config/split/0000.parquet as the hub converts, or a folder's name."""
    converted = [_CONVERTED.fullmatch(name) for name in names]
    configs: dict[str, Splits] = {}
    for found in converted:
        if found:
            files = configs.setdefault(found.group(1), {}).setdefault(found.group(2), [])
            files.append(found.string)
    if configs and all(converted):
        if not config and len(configs) > 1 and "default" not in configs:
            raise _which(configs)
        config = config or ("default" if "default" in configs else next(iter(configs)))
        if config not in configs:
            raise _which(configs, config)
        return configs[config], config
    if not config:
        return None, ""
    inside = [name for name in names if _says(str(PurePosixPath(name).parent), config)]
    inside = inside or [name for name in names if _says(_stem(name), config)]
    if not inside:
        raise _which({part for name in names for part in PurePosixPath(name).parts[:-1]}, config)
    return _named(inside, ""), config


def _named(names: Sequence[str], split: str) -> Splits:
    """Splits by what files or their folders are called."""
    if split:
        return {split: [name for name in names if _says(_stem(name), split)]}
    evaluation = [name for name in names if is_evaluation(_stem(name))]
    rest = [name for name in names if name not in set(evaluation)]
    train = [name for name in rest if _TRAIN.search(_stem(name).casefold())]
    if evaluation and train:  # what says neither is not in a split
        others = [n for n in rest if n not in set(train) and "/" not in n]
        return {TRAIN: [*train, *others], "test": evaluation}
    return {TRAIN: rest, "test": evaluation}


def _of_split(splits: Splits, split: str) -> list[str]:
    folded = {key.casefold(): files for key, files in splits.items()}
    if found := splits.get(split) or folded.get(split.casefold()):
        return found
    known = [key for key in splits if key != split]
    raise StudioError(
        "No such split",
        f"There is no data of the split “{split}”"
        + (f"; there is {_listed(known)}." if known else "."),
        "Leave the split out, or name one that is there.",
    )


def _patterns(config: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The splits of a configuration with the patterns of their files."""
    files = config.get("data_files")
    root = str(config.get("data_dir") or "").strip("/")
    if files is None:
        return [(TRAIN, [f"{root}/**"])] if root else []
    if isinstance(files, str):
        files = [files]
    if isinstance(files, dict):
        files = [{"split": split, "path": path} for split, path in files.items()]
    found: dict[str, list[str]] = {}
    for one in files if isinstance(files, list) else []:
        split = str(one.get("split", TRAIN)) if isinstance(one, dict) else TRAIN
        paths = one.get("path") if isinstance(one, dict) else one
        for path in paths if isinstance(paths, list) else [paths]:
            if isinstance(path, str):
                found.setdefault(split, []).append(f"{root}/{path}" if root else path)
    return list(found.items())


def _matching(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    glob = re.compile("|".join(_regex(pattern.removeprefix("./")) for pattern in patterns))
    return [name for name in names if glob.fullmatch(name)]


def _regex(pattern: str) -> str:
    rules = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", pattern)
    return "".join(
        rules.get(part) or (part if part.startswith("[") and len(part) > 2 else re.escape(part))
        for part in parts
    )


def _of_one_kind(names: Sequence[str]) -> list[str]:
    kinds = {name: _suffix(name).replace("ndjson", "jsonl").replace("jsonl", "json")
             for name in names}  # fmt: skip
    counted = Counter(kinds.values())
    best = max(counted, key=lambda kind: (counted[kind], kind in STRUCTURED), default="")
    return [name for name in names if kinds[name] == best]


def _is_data(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__")) for part in path.parts)
    return not hidden and not _NO_DATA.fullmatch(path.name) and bool(_suffix(name))


def readable(name: str) -> bool:
    """Whether a file is of a kind that is read, by its name; archives are."""
    return _is_data(name)


def plain_only_alone(names: Sequence[str]) -> list[str]:
    """Texts count as data only where there is nothing else."""
    structured = [name for name in names if _suffix(name) not in PLAIN]
    return structured or list(names)


def _suffix(name: str) -> str:
    path = PurePosixPath(name.casefold())
    if path.suffix == ".zip":
        return ".zip"
    suffix = PurePosixPath(path.stem).suffix if path.suffix in SUFFIXES else path.suffix
    return suffix if suffix in (*STRUCTURED, *PLAIN) else ""


def _stem(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)


def _says(text: str, word: str) -> bool:
    edges = rf"(^|[^a-z0-9]){re.escape(word.casefold())}([^a-z0-9]|$)"
    return bool(re.search(edges, text.casefold()))


def _which(known: Iterable[str], config: str = "") -> StudioError:
    there = f"there are {_listed(known)}."
    if not config:
        return StudioError(
            "Which configuration?",
            f"The dataset has several; {there}",
            "Name one of them as the configuration.",
        )
    return StudioError(
        "No such configuration",
        f"The dataset has no configuration “{config}”; {there}",
        "Name one that is there, or leave it out.",
    )


def _listed(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - 20} more" if len(every) > 20 else ""
    return (", ".join(f"“{name}”" for name in every[:20]) or "nothing") + more
