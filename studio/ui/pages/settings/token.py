"""The hub token: written once, kept in the system's keyring, shown masked, removed."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLineEdit, QWidget

from studio.library import settings as stored
from studio.library.folders import Home
from studio.ui.session import Session
from studio.ui.widgets import Button, Card, LineEdit, label, row

WHERE_TO_MAKE_ONE = "https://huggingface.co/settings/tokens"
BULLET = "•"
SHOWN_END = 4
SHORTEST_SHOWN = 16


def masked(token: str) -> str:
    """Enough of a token to tell it from another one, and no more."""
    if len(token) < SHORTEST_SHOWN:
        return BULLET * 8
    return f"{token[:3]}{BULLET * 8}{token[-SHOWN_END:]}"


def looked_up(home: Home) -> tuple[str, bool]:
    """The token masked ("" without one), and whether there is a keyring. Slow: asks the system."""
    return masked(stored.token(home) or "") if stored.token(home) else "", stored.keyring_works()


def kept(home: Home, token: str) -> tuple[str, bool]:
    """Keep a token, or drop it when empty; then as `looked_up`."""
    stored.set_token(home, token)
    return looked_up(home)


class TokenCard(Card):
    """Either a field for a token, or the one there is."""

    def __init__(self, session: Session) -> None:
        super().__init__(spacing=12)
        self._session = session
        self.edit = LineEdit("Hub token", placeholder="hf_…", icon_name="key")
        self.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.edit.returnPressed.connect(self._save)
        self.save = Button("Save token", "primary")
        self.save.setEnabled(False)
        save = self.save
        self.edit.textChanged.connect(lambda text: save.setEnabled(bool(text.strip())))
        self.save.clicked.connect(self._save)
        self.shown = label("", "mono")
        self.remove = Button("Remove", icon_name="trash")
        self.remove.clicked.connect(lambda: self._keep(""))
        make = Button("Make a token on huggingface.co", "link", "globe")
        make.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(WHERE_TO_MAKE_ONE)))
        self._entry, self._present = QWidget(), QWidget()
        self._entry.setLayout(row(self.edit, self.save))
        self._present.setLayout(row(self.shown, None, self.remove))
        self._where = label("", "mute", wrap=True)
        about = "Only models behind terms, and private ones, need it. It goes to the hub alone."
        self.add(row(label("Hugging Face token", "h2"), None, make), label(about, "sub", wrap=True))
        self.add(self._entry, self._present, self._where)
        self._present.hide()

    def look_up(self) -> None:
        """Ask the keyring, off the window's thread: some take seconds."""
        self._session.background(looked_up, self._session.home, done=self._show)

    def _save(self) -> None:
        if token := self.edit.text().strip():
            self._keep(token)

    def _keep(self, token: str) -> None:
        self.edit.clear()
        self._session.background(kept, self._session.home, token, done=self._show)

    def _show(self, found: tuple[str, bool]) -> None:
        token, keyring = found
        self.shown.setText(token)
        self._entry.setVisible(not token)
        self._present.setVisible(bool(token))
        self._where.setText(
            "It is kept in the system's keyring."
            if keyring
            else "This system has no keyring, so a token is kept in memory until the studio closes."
        )
