"""The settings page, by real clicks and keys: each setting holds at once and after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import msgspec
import pytest
from keyring.backend import KeyringBackend
from PySide6.QtCore import Qt, QUrl
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from studio.client.actions import Finding
from studio.core.errors import StudioError
from studio.core.facts import Machine
from studio.library import settings, trash
from studio.library.folders import Home
from studio.ui.pages.settings import SettingsPage, doctor, folders, token
from studio.ui.session import Session
from studio.ui.theme import DARK, LIGHT, Theme
from studio.ui.widgets import IconButton
from tests.ui.show import Show

LEFT = Qt.MouseButton.LeftButton
GIB = 1024**3
TOKEN = "hf_abcdefghijklmnopqrstuvwxyz1234"
FINDINGS = [
    Finding(name="Python", status="ok", text="Python 3.11."),
    Finding(name="GPU", status="warning", text="None.", fix="Buy one."),
    Finding(name="disk", status="problem", text="Full.", fix="Free some."),
]


class MemoryKeyring(KeyringBackend):
    """A keyring that works, and forgets with the test."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def ring() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    made = MemoryKeyring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.fixture
def page(
    session: Session, show: Show, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> SettingsPage:
    """The page after its first look around; the doctor finds what the test says."""
    monkeypatch.setattr(doctor, "diagnose", lambda home: list(FINDINGS))
    made = SettingsPage(session)
    made.resize(1056, 800)
    show(made)
    qtbot.waitUntil(lambda: bool(made.doctor.findings))
    return made


def texts(widget: QWidget) -> list[str]:
    """What its visible labels say."""
    return [child.text() for child in widget.findChildren(QLabel) if child.isVisible()]


def saved(home: Home, qtbot: QtBot, **wanted: object) -> None:
    """Wait until the settings file says so."""
    qtbot.waitUntil(
        lambda: all(getattr(settings.load(home), key) == value for key, value in wanted.items())
    )


class TestLook:
    def test_a_theme_holds_at_once_and_is_saved(
        self, page: SettingsPage, themed: Theme, home: Home, qtbot: QtBot
    ) -> None:
        qtbot.mouseClick(page.look.theme.button("light"), LEFT)
        assert themed.tokens is LIGHT
        saved(home, qtbot, theme="light")
        qtbot.mouseClick(page.look.theme.button("dark"), LEFT)
        assert themed.tokens is DARK
        saved(home, qtbot, theme="dark")

    def test_it_shows_what_was_set_elsewhere(self, page: SettingsPage, session: Session) -> None:
        session.change_settings(theme="light", reserve_bytes=2 * GIB)
        assert page.look.theme.value() == "light"
        assert page.look.reserve.number() == 2.0

    def test_the_reserve_is_saved_in_bytes(
        self, page: SettingsPage, home: Home, qtbot: QtBot
    ) -> None:
        page.look.reserve.setFocus()
        page.look.reserve.selectAll()
        qtbot.keyClicks(page.look.reserve, "1.5")
        qtbot.keyClick(page.look.reserve, Qt.Key.Key_Return)
        saved(home, qtbot, reserve_bytes=int(1.5 * GIB))

    def test_no_size_is_said_beside_the_field_and_not_saved(
        self, page: SettingsPage, session: Session, qtbot: QtBot
    ) -> None:
        page.look.reserve.setFocus()
        page.look.reserve.selectAll()
        qtbot.keyClicks(page.look.reserve, "lots")
        qtbot.keyClick(page.look.reserve, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: any("“lots”" in said for said in texts(page.look)))
        assert session.settings.reserve_bytes == settings.Settings().reserve_bytes


class TestFolders:
    def test_sizes_are_those_on_disk(self, page: SettingsPage, home: Home, qtbot: QtBot) -> None:
        (home.models / "big").mkdir()
        with (home.models / "big" / "weights").open("wb") as file:
            file.truncate(3 * GIB)
        (home.models / "loop").symlink_to(home.models)
        page.folders.measure()
        qtbot.waitUntil(lambda: texts(page.folders).count("3.0 GB") == 2)
        assert "empty" in texts(page.folders)

    def test_a_folder_opens_in_the_file_manager(
        self, page: SettingsPage, home: Home, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[QUrl] = []
        monkeypatch.setattr(
            folders.QDesktopServices, "openUrl", lambda url: bool(opened.append(url)) or True
        )
        buttons = {b.accessibleName(): b for b in page.folders.findChildren(IconButton)}
        qtbot.mouseClick(buttons["Open models"], LEFT)
        assert [Path(url.toLocalFile()) for url in opened] == [home.models]

    def test_without_a_file_manager_it_says_so(
        self, page: SettingsPage, session: Session, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(folders.QDesktopServices, "openUrl", lambda url: False)
        with qtbot.waitSignal(session.said) as heard:
            page.folders.open_folder(session.home.models)
        assert "No file manager" in heard.args[0]

    def test_one_more_models_folder(
        self, page: SettingsPage, session: Session, tmp_path: Path, qtbot: QtBot
    ) -> None:
        page.folders.extra.edit.setFocus()
        qtbot.keyClicks(page.folders.extra.edit, str(tmp_path))
        with qtbot.waitSignal(session.models_changed):
            qtbot.keyClick(page.folders.extra.edit, Qt.Key.Key_Return)
        saved(session.home, qtbot, models_folder=str(tmp_path))

    def test_a_folder_that_is_not_there_is_refused(
        self, page: SettingsPage, session: Session, qtbot: QtBot
    ) -> None:
        page.folders.extra.edit.setFocus()
        qtbot.keyClicks(page.folders.extra.edit, "/no/such/folder")
        qtbot.keyClick(page.folders.extra.edit, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: "There is no folder /no/such/folder." in texts(page.folders))
        assert session.settings.models_folder == ""

    def test_emptying_the_trash_asks_first(
        self, page: SettingsPage, home: Home, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("a", "b"):
            (home.adapters / name).mkdir()
            (home.adapters / name / "weights").write_bytes(b"x")
            trash.put(home, home.adapters / name)
        page.folders.measure()
        qtbot.waitUntil(page.folders.empty.isEnabled)
        monkeypatch.setattr(page.folders, "ask", lambda: False)
        qtbot.mouseClick(page.folders.empty, LEFT)
        assert len(trash.listing(home)) == 2
        monkeypatch.setattr(page.folders, "ask", lambda: True)
        with qtbot.waitSignal(page.session.said) as heard:
            qtbot.mouseClick(page.folders.empty, LEFT)
        assert heard.args[0] == "2 folders are gone for good"
        assert trash.listing(home) == []
        qtbot.waitUntil(lambda: not page.folders.empty.isEnabled())


class TestToken:
    def enter(self, page: SettingsPage, qtbot: QtBot) -> None:
        page.token.edit.setFocus()
        qtbot.keyClicks(page.token.edit, TOKEN)
        qtbot.mouseClick(page.token.save, LEFT)
        qtbot.waitUntil(page.token.remove.isVisible)

    @pytest.mark.usefixtures("ring")
    def test_it_goes_into_the_keyring_and_is_shown_masked(
        self, page: SettingsPage, home: Home, qtbot: QtBot, ring: MemoryKeyring
    ) -> None:
        assert page.token.edit.echoMode() == QLineEdit.EchoMode.Password
        self.enter(page, qtbot)
        assert list(ring.kept.values()) == [TOKEN]
        assert page.token.edit.text() == ""
        assert page.token.shown.text() == "hf_••••••••1234"
        assert not any(TOKEN in text for text in texts(page))
        assert any("keyring" in text for text in texts(page.token))
        files = [path for path in home.root.rglob("*") if path.is_file()]
        assert not any(TOKEN.encode() in path.read_bytes() for path in files)

    def test_removing_takes_it_out_of_the_keyring(
        self, ring: MemoryKeyring, page: SettingsPage, qtbot: QtBot
    ) -> None:
        self.enter(page, qtbot)
        qtbot.mouseClick(page.token.remove, LEFT)
        qtbot.waitUntil(page.token.edit.isVisible)
        assert ring.kept == {}

    def test_without_a_keyring_memory_keeps_it_and_that_is_said(
        self, page: SettingsPage, home: Home, qtbot: QtBot
    ) -> None:
        self.enter(page, qtbot)
        assert settings.token(home) == TOKEN
        assert any("in memory until the studio closes" in text for text in texts(page.token))
        qtbot.mouseClick(page.token.remove, LEFT)
        qtbot.waitUntil(page.token.edit.isVisible)
        assert settings.token(home) is None

    def test_nothing_can_be_saved_while_nothing_is_written(self, page: SettingsPage) -> None:
        page.token.edit.setText("   ")
        assert not page.token.save.isEnabled()

    def test_a_short_token_shows_nothing_of_itself(self) -> None:
        assert token.masked("hf_1234") == "••••••••"


class TestDoctor:
    def test_every_line_with_its_fix(self, page: SettingsPage) -> None:
        said = texts(page.doctor)
        for finding in FINDINGS:
            assert {finding.name, finding.text} <= set(said)
        assert {"Buy one.", "Free some."} <= set(said)
        assert page.doctor.verdict.text() == "1 problem"

    @pytest.mark.parametrize(
        ("findings", "verdict"), [(FINDINGS[:2], "1 remark"), (FINDINGS[:1], "All well")]
    )
    def test_looking_again_shows_what_is_true_now(
        self,
        page: SettingsPage,
        qtbot: QtBot,
        monkeypatch: pytest.MonkeyPatch,
        findings: list[Finding],
        verdict: str,
    ) -> None:
        monkeypatch.setattr(doctor, "diagnose", lambda home: findings)
        qtbot.mouseClick(page.doctor.again, LEFT)
        qtbot.waitUntil(lambda: page.doctor.verdict.text() == verdict)
        qtbot.waitUntil(lambda: "Free some." not in texts(page.doctor))

    def test_copy_gives_plain_lines(self, page: SettingsPage, qtbot: QtBot) -> None:
        qtbot.mouseClick(page.doctor.copy, LEFT)
        lines = QApplication.clipboard().text().splitlines()
        assert lines[1:] == ["warning  GPU: None. Buy one.", "problem  disk: Full. Free some."]

    def test_a_failed_look_is_a_sentence(
        self, page: SettingsPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(home: Home) -> list[Finding]:
            raise StudioError("No keeper", "It does not answer.", "Restart the computer.")

        monkeypatch.setattr(doctor, "diagnose", fail)
        qtbot.mouseClick(page.doctor.again, LEFT)
        qtbot.waitUntil(lambda: "It does not answer." in texts(page.doctor))
        assert page.doctor.again.isEnabled()

    def test_the_real_doctor_looks_at_this_machine(self, home: Home) -> None:
        found = {finding.name: finding for finding in doctor.diagnose(home)}
        assert found["Python"].status == "ok"
        assert str(home.root) in found["home"].text


def test_everything_has_a_name_and_takes_the_keyboard(page: SettingsPage) -> None:
    found = [
        child
        for kind in (QAbstractButton, QLineEdit)
        for child in page.findChildren(kind)
        if child.isVisible() and not isinstance(child.parent(), QLineEdit)
    ]
    assert len(found) > 12
    for child in found:
        assert child.accessibleName(), child
        unchosen = isinstance(child, QAbstractButton) and child.group() and not child.isChecked()
        if not unchosen:  # arrow keys reach those, as in every group of which one is on
            assert child.focusPolicy() & Qt.FocusPolicy.TabFocus, child.accessibleName()


def test_the_page_fits_the_smallest_window(page: SettingsPage, qtbot: QtBot) -> None:
    page.resize(800, 660)
    for card in (page.look, page.folders, page.token, page.doctor):
        assert card.minimumSizeHint().width() <= 800 - 64


def test_one_of_several_cards_is_chosen(
    session: Session, machine: Machine, show: Show, qtbot: QtBot
) -> None:
    session.machine = machine
    page = SettingsPage(session)
    show(page)
    row = page.look.cards
    assert row.isHidden()
    second = msgspec.structs.replace(machine.gpus[0], index=1, name="Second", uuid="GPU-2")
    both = msgspec.structs.replace(machine, gpus=(*machine.gpus, second))
    session.machine_changed.emit(both)
    assert row.isVisible()
    assert row.box.value() == ""
    row.box.setFocus()
    qtbot.keyClick(row.box, Qt.Key.Key_End)
    row.box.activated.emit(row.box.currentIndex())
    assert session.settings.card == "GPU-2"
