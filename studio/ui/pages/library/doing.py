"""What can be done with the adapters that are selected: each off the window's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QMetaMethod, QObject, QUrl, Signal, SignalInstance
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QWidget

from studio.core.errors import StudioError
from studio.library import adapters
from studio.library.adapters import AdapterFacts, BaseMissing
from studio.library.folders import Home
from studio.library.trash import Trashed
from studio.ui.pages.library.base_dialog import BaseDialog
from studio.ui.pages.library.export.dialog import MERGED
from studio.ui.pages.library.trash_dialog import TrashDialog
from studio.ui.session import Session
from studio.ui.widgets import InlineMessage, NameDialog

Then = Callable[[], object]


class Doing(QObject):
    """Does it, and says in `message` what went wrong. `arrived` has the folder of an adapter that
    came into the library."""

    arrived = Signal(str)

    def __init__(self, session: Session, message: InlineMessage, page: QWidget) -> None:
        super().__init__(page)
        self._session, self._message, self._page = session, message, page
        self._deleted: list[Trashed] = []
        self.base_dialog: BaseDialog | None = None
        self.trash_dialog: TrashDialog | None = None
        message.acted.connect(self._undo)

    def offered(self, signal: str) -> bool:
        """Whether anybody hears this signal of the session."""
        method = QMetaMethod.fromSignal(getattr(self._session, signal))
        return bool(self._session.isSignalConnected(method))

    def chat(self, chosen: Sequence[AdapterFacts]) -> None:
        """Talk to these, side by side."""
        self._with_base(self._session.open_chat, chosen)

    def use(self, chosen: Sequence[AdapterFacts]) -> None:
        """Let other programs talk with these."""
        self._with_base(self._session.open_serving, chosen)

    def _with_base(self, wanted: SignalInstance, chosen: Sequence[AdapterFacts]) -> None:
        """Emit the base of the first and the adapters; where the base is gone, ask for it."""
        usable = [facts for facts in chosen if not facts.problem]
        if usable:
            self._session.background(
                _with_base, self._session.home, usable,
                done=lambda found: wanted.emit(*found),
                failed=partial(
                    self._failed, usable[0], lambda: self._with_base(wanted, chosen)
                ),
            )  # fmt: skip

    def mix(self, chosen: Sequence[AdapterFacts]) -> None:
        self._session.open_mix.emit([facts.path for facts in chosen if not facts.problem])

    def export(self, facts: AdapterFacts, only: str = "") -> None:
        """Ask what as and where to, once it is known that the base is there."""
        self._session.background(
            _with_a_base, self._session.home, facts,
            done=lambda known: self._session.open_export.emit(known.path, only),
            failed=partial(self._failed, facts, lambda: self.export(facts, only)),
        )  # fmt: skip

    def merge(self, facts: AdapterFacts) -> None:
        """The export of the merged model, asked about by itself."""
        self.export(facts, MERGED)

    def rename(self, facts: AdapterFacts) -> None:
        words = "The adapter's name in the studio; its folder stays where it is."
        name = NameDialog(self._page, "Rename adapter", words, facts.name, "Rename").ask()
        if name and name != facts.name:
            self._change(adapters.rename, Path(facts.path), name)

    def annotate(self, facts: AdapterFacts, notes: str | None, tags: list[str] | None) -> None:
        self._change(partial(adapters.annotate, notes=notes, tags=tags), Path(facts.path))

    def delete(self, chosen: Sequence[AdapterFacts]) -> None:
        """Move these to the trash, from where a button brings them back."""
        if chosen:
            self._session.background(
                _deleted, self._session.home, [Path(facts.path) for facts in chosen],
                done=self._are_deleted, failed=self._show,
            )  # fmt: skip

    def open_trash(self) -> None:
        """Show what lies in the trash."""
        self.trash_dialog = TrashDialog(self._page, self._session)
        self.trash_dialog.restored.connect(self._came)
        self.trash_dialog.finished.connect(self.trash_dialog.deleteLater)
        self.trash_dialog.open()

    def bring(self, paths: Sequence[Path], base: Path | None = None) -> None:
        """Copy adapters made elsewhere into the library."""
        for path in paths:
            self._session.background(
                adapters.import_path, self._session.home, path, base,
                done=self._brought, failed=partial(self._not_brought, path),
            )  # fmt: skip

    def open_folder(self, path: str) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(path))

    def locate(self, facts: AdapterFacts, why: str, then: Then = lambda: None) -> None:
        """Ask where the base lies, and go on with `then` once that is known."""
        dialog = self._ask_for_base(f"Where is the base of {facts.name}?", why)
        dialog.chosen.connect(partial(self._located, facts, dialog, then))

    # what comes of it

    def _located(
        self, facts: AdapterFacts, dialog: BaseDialog, then: Then, base: Path, anyway: bool
    ) -> None:
        def done(_: object) -> None:
            dialog.accept()
            self._session.library_changed.emit()
            then()

        self._session.background(
            partial(adapters.locate, anyway=anyway), self._session.home, Path(facts.path), base,
            done=done,
            failed=lambda error: dialog.refuse(error, error.title == "Another model"),
        )  # fmt: skip

    def _failed(self, facts: AdapterFacts, then: Then, error: StudioError) -> None:
        if isinstance(error, BaseMissing):
            self.locate(facts, error.text, then)
        else:
            self._show(error)

    def _not_brought(self, path: Path, error: StudioError) -> None:
        if not isinstance(error, BaseMissing):
            self._show(error)
            return
        dialog = self._ask_for_base(f"Which model is {path.name} for?", error.text)

        def take(base: Path, anyway: bool) -> None:
            def done(found: list[Path]) -> None:
                dialog.accept()
                self._brought(found)

            self._session.background(
                adapters.import_path, self._session.home, path, base,
                done=done, failed=dialog.refuse,
            )  # fmt: skip

        dialog.chosen.connect(take)

    def _ask_for_base(self, title: str, why: str) -> BaseDialog:
        dialog = BaseDialog(self._page, title, why)
        dialog.finished.connect(dialog.deleteLater)
        self.base_dialog = dialog
        dialog.open()
        return dialog

    def _are_deleted(self, entries: list[Trashed]) -> None:
        self._deleted = entries
        one = len(entries) == 1
        what = f"{entries[0].title} is" if one else f"{len(entries)} adapters are"
        back = f"{'It' if one else 'They'} can be taken back."
        self._message.show_message(f"{what} in the trash", "", back, "info", "Undo")
        self._session.library_changed.emit()

    def _undo(self) -> None:
        entries, self._deleted = self._deleted, []
        self._message.hide()
        for entry in entries:
            self._session.background(
                adapters.restore, self._session.home, entry, done=self._came, failed=self._show
            )

    def _brought(self, found: list[Path]) -> None:
        self._message.hide()
        said = "Adapter imported" if len(found) == 1 else f"{len(found)} adapters imported"
        self._session.said.emit(said, "ok")
        self._came(found[0])

    def _came(self, path: Path | str) -> None:
        self.arrived.emit(str(path))
        self._session.library_changed.emit()

    def _change(self, function: Callable[..., object], *arguments: object) -> None:
        self._session.background(
            function, self._session.home, *arguments,
            done=lambda _: self._session.library_changed.emit(), failed=self._show,
        )  # fmt: skip

    def _show(self, error: StudioError) -> None:
        self._deleted = []
        self._message.show_error(error)


def _base_of(home: Home, facts: AdapterFacts) -> Path:
    """By what is recorded now: the base may have been located since the facts were read."""
    return adapters.base_of(home, adapters.facts(Path(facts.path)))


def _with_a_base(home: Home, facts: AdapterFacts) -> AdapterFacts:
    """What is recorded now of an adapter whose base is there."""
    now = adapters.facts(Path(facts.path))
    adapters.base_of(home, now)
    return now


def _with_base(home: Home, chosen: list[AdapterFacts]) -> tuple[str, list[str]]:
    """The base's folder and the adapters, as `open_chat` and `open_serving` take them."""
    base = _base_of(home, chosen[0])
    for other in chosen[1:]:
        if _base_of(home, other) != base:
            raise StudioError(
                "Adapters of several bases",
                f"{other.name} belongs on another base than {chosen[0].name}.",
                "Select adapters of one base.",
            )
    return str(base), [facts.path for facts in chosen]


def _deleted(home: Home, folders: list[Path]) -> list[Trashed]:
    return [adapters.delete(home, folder) for folder in folders]
