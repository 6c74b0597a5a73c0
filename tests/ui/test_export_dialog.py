"""Exporting from the library: choices, a real export, its passport, and the exports so far."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QTextEdit
from pytestqt.qtbot import QtBot

from studio.core import exporting
from studio.core.passport import Check, Example, Passport, Token
from studio.library import adapters, exports, parts, settings
from studio.library.adapters import AdapterFacts
from studio.library.folders import Home
from studio.ui.pages.library import LibraryPage
from studio.ui.pages.library.export.dialog import ExportDialog
from studio.ui.pages.library.export.passport_view import PassportView
from studio.ui.pages.library.export.push import BROKEN_OFF, FAILED, NO_TOKEN, PRIVATE, PushCard
from studio.ui.pages.library.export.question import Question
from studio.ui.session import Session
from tests.fakes.hub import TOKEN, FakeHub, serving
from tests.support.adapter_files import write_adapter
from tests.support.live_session import SOON
from tests.ui.show import Show

pytestmark = pytest.mark.gui
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def adapter(home: Home, own_model: Path, tmp_path: Path) -> Path:
    source = write_adapter(tmp_path / "made elsewhere", size=0.5)
    known = AdapterFacts(
        base=str(own_model), method="qlora", dataset="orders.jsonl", run="20261201-orders"
    )
    return adapters.add(home, source, "Orders", known)


@pytest.fixture
def page(adapter: Path, session: Session, show: Show, qtbot: QtBot) -> LibraryPage:
    made = LibraryPage(session)
    made.resize(1056, 800)
    show(made)
    qtbot.waitUntil(lambda: made.details.facts is not None)
    return made


@pytest.fixture
def working(page: LibraryPage, engines: Session) -> LibraryPage:
    """The page with engines behind it."""
    return page


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that knows one who may write. Its files travel by LFS: Xet has servers of its own."""
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    with serving() as served:
        served.writers.add(TOKEN)
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


def opened(page: LibraryPage, qtbot: QtBot) -> ExportDialog:
    qtbot.mouseClick(page.details.export, LEFT)
    qtbot.waitUntil(lambda: page.exports.dialog is not None and page.exports.dialog.isVisible())
    assert page.exports.dialog is not None
    return page.exports.dialog


def passport(**changed: tuple[bool, float, float]) -> Passport:
    checks = {
        "prompt": (True, 0.0, 0.0), "stops": (True, 0.0, 0.0), "agreement": (True, 0.99, 0.95),
        "kl": (True, 0.001, 0.03), "loss": (True, 0.41, 0.46),
    } | changed  # fmt: skip
    return Passport(
        grade="pass" if all(each[0] for each in checks.values()) else "fail",
        runtime="transformers", precision="bfloat16", dtype="bfloat16", top1=0.99, agreement=0.99,
        kl=0.001, kl_max=0.1, kl_without_adapter=1.2, positions=1200, prompts=16, loss=0.41,
        loss_trained=0.4, loss_bare=2.5, loss_positions=700,
        checks=tuple(
            Check(name=name, passed=each[0], measured=each[1], wanted=each[2])  # type: ignore[arg-type]
            for name, each in checks.items()
        ),
    )  # fmt: skip


def result_face(dialog: ExportDialog, folder: Path, checked: Passport) -> PushCard:
    """The dialog as it is behind an export to this folder."""
    plain = msgspec.to_builtins(checked)
    dialog.exporting.finished.emit(
        {"path": str(folder), "bytes": 1, "seconds": 1.0, "passport": plain}
    )
    return dialog.outcome.push


def pushed(push: PushCard, repo: str, qtbot: QtBot) -> None:
    """Push it there and wait until it is on the hub."""
    qtbot.waitUntil(push.button.isEnabled)
    push.edit.clear()
    qtbot.keyClicks(push.edit, repo)
    qtbot.mouseClick(push.button, LEFT)
    qtbot.waitUntil(push.message.isVisible, timeout=SOON)
    assert push.message.title() == "It is on the hub"


def test_every_format_has_a_card_and_its_own_choices(page: LibraryPage, qtbot: QtBot) -> None:
    question = opened(page, qtbot).question
    assert set(question.cards) == {each.id for each in exporting.FORMATS}
    assert "vLLM" in question.cards["safetensors"].accessibleDescription()
    assert question.choices() == {"check": "full", "dtype": "auto", "onto": "auto"}
    assert question.out.path().endswith("Orders-merged")
    question.choose("nf4")
    assert question.advice.isVisible()
    assert question.choices() == {"check": "full", "quantization": "NF4", "onto": "auto"}
    question.choose("adapter")
    assert not question.advice.isVisible()
    assert not question.onto.isVisible()
    assert question.choices() == {"check": "full"}
    assert question.out.path().endswith("Orders-adapter")
    qtbot.waitUntil(lambda: "on the disk" in question.disk.text())
    question.out.edit.setText("/somewhere/mine")
    question.choose("nf4")
    assert question.out.path() == "/somewhere/mine"


def test_an_importance_matrix_is_offered_where_few_bits_gain_by_it(
    page: LibraryPage, qtbot: QtBot
) -> None:
    question = opened(page, qtbot).question
    switch = question.importance
    question.choose("gguf")
    assert not switch.isVisible()
    assert "settings" not in question.choices()
    question.kind.set_value("Q4_K_M")
    assert switch.accessibleName() == "Importance matrix"
    assert switch.accessibleDescription()
    assert question.choices()["settings"] == {"importance": "yes"}
    question.kind.setFocus()
    qtbot.keyClick(question.kind, Qt.Key.Key_Tab)
    assert switch.hasFocus()
    qtbot.keyClick(switch, Qt.Key.Key_Space)
    assert question.choices()["settings"] == {"importance": "no"}
    question.kind.set_value("Q6_K")
    assert not switch.isVisible()
    assert "settings" not in question.choices()
    question.choose("nf4")
    assert not switch.isVisible()


def test_no_importance_matrix_is_offered_without_rows_to_measure(
    session: Session, own_model: Path, show: Show
) -> None:
    imported = AdapterFacts(name="Orders", base=str(own_model), method="lora")
    question = Question(session, imported, [exporting.find("gguf")])
    show(question)
    question.kind.set_value("Q4_K_M")
    assert not question.importance.isVisible()
    assert question.choices() == {"check": "full", "quantization": "Q4_K_M"}


@pytest.mark.parametrize(
    ("kind", "file"), [("safetensors", ""), ("gguf", "Orders-Q8_0.gguf"), ("adapter", None)]
)
def test_what_can_speak_by_itself_opens_in_chat(
    page: LibraryPage, session: Session, tmp_path: Path, qtbot: QtBot, kind: str, file: str | None
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "Orders-Q8_0.gguf").touch()
    dialog = opened(page, qtbot)
    dialog.exporting.format = exporting.find(kind)
    result_face(dialog, folder, passport())
    qtbot.waitUntil(dialog.outcome.open_button.isVisible)
    assert dialog.outcome.talk.isVisible() == (file is not None)
    if file is not None:
        with qtbot.waitSignal(session.open_chat) as caught:
            qtbot.mouseClick(dialog.outcome.talk, LEFT)
        assert caught.args == [str(folder / file), []]


def test_a_missing_part_is_offered_and_nothing_starts_without_it(
    page: LibraryPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = opened(page, qtbot)
    monkeypatch.setattr(parts, "missing", lambda names: [parts.every()[0]])
    monkeypatch.setattr(parts, "this_machine", lambda: "linux-x86_64")
    dialog.question.choose("adapter")
    qtbot.waitUntil(dialog.question.part.isVisible)
    assert not dialog.start.isEnabled()


def test_an_export_its_passport_and_its_way_to_the_hub(
    hub: FakeHub, working: LibraryPage, home: Home, adapter: Path, qtbot: QtBot
) -> None:
    settings.set_token(home, TOKEN)
    dialog = opened(working, qtbot)
    dialog.question.choose("adapter")
    dialog.question.check.set_value("quick")
    target = Path(dialog.question.out.path())
    qtbot.waitUntil(dialog.start.isEnabled)
    qtbot.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(dialog.outcome.passport.isVisible, timeout=SOON)
    assert dialog.outcome.passport.stamp.text() == "Passed"
    assert (target / "adapter_model.safetensors").is_file()
    qtbot.waitUntil(lambda: dialog.outcome.passport.examples is not None, timeout=SOON)
    pushed(dialog.outcome.push, "me/orders", qtbot)
    files = hub.repos["me/orders"].files
    assert hub.private == {"me/orders"}
    for name in ("adapter_model.safetensors", "passport.json", "README.md"):
        assert files[name] == (target / name).read_bytes()
    qtbot.mouseClick(dialog.outcome.push.message.button, LEFT)
    assert QGuiApplication.clipboard().text() == f"{hub.url}/me/orders"
    qtbot.mouseClick(dialog.close_button, LEFT)
    [kept] = exports.listing(home, str(adapter))
    assert kept.out == str(target)
    again = opened(working, qtbot)
    qtbot.mouseClick(again.so_far, LEFT)
    qtbot.waitUntil(lambda: working.exports.history is not None)
    history = working.exports.history
    assert history is not None
    qtbot.waitUntil(lambda: history.list.count() == 1)
    spoken = history.list.item(0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.startswith("Adapter alone: Passed")
    assert history.outcome.passport.stamp.text() == "Passed"
    qtbot.waitUntil(history.outcome.push.button.isEnabled)
    qtbot.mouseClick(history.outcome.push.public, LEFT)
    pushed(history.outcome.push, "me/shown", qtbot)
    assert hub.repos["me/shown"].files == files
    assert hub.private == {"me/orders"}
    history.accept()
    again.reject()


def test_a_target_that_wont_do_is_said_in_the_dialog(
    page: LibraryPage, own_model: Path, qtbot: QtBot
) -> None:
    dialog = opened(page, qtbot)
    dialog.question.out.set_path(str(own_model))
    qtbot.mouseClick(dialog.start, LEFT)
    qtbot.waitUntil(dialog.problem.isVisible)
    assert dialog.start.isVisible()
    dialog.reject()


def test_without_exports_the_list_says_so(page: LibraryPage, qtbot: QtBot) -> None:
    dialog = opened(page, qtbot)
    qtbot.mouseClick(dialog.so_far, LEFT)
    history = page.exports.history
    assert history is not None
    qtbot.waitUntil(history.none.isVisible)
    assert not history.outcome.open_button.isVisible()
    history.accept()
    dialog.reject()


def test_what_failed_is_not_pushed(
    page: LibraryPage, home: Home, adapter: Path, qtbot: QtBot
) -> None:
    settings.set_token(home, TOKEN)
    dialog = opened(page, qtbot)
    push = result_face(dialog, adapter, passport())
    qtbot.waitUntil(push.button.isEnabled)
    result_face(dialog, adapter, passport(stops=(False, 1.0, 0.0)))
    assert not push.button.isEnabled()
    assert not push.edit.isEnabled()
    assert push.words.text() == push.button.accessibleDescription() == FAILED


def test_without_a_token_the_push_says_where_to_save_one(
    page: LibraryPage, adapter: Path, qtbot: QtBot
) -> None:
    push = result_face(opened(page, qtbot), adapter, passport())
    qtbot.waitUntil(lambda: push.words.text() == NO_TOKEN)
    assert not push.button.isEnabled()
    assert push.button.accessibleDescription() == NO_TOKEN


def test_a_push_with_a_wrong_name_broken_off_and_refused(
    hub: FakeHub, page: LibraryPage, home: Home, adapter: Path, qtbot: QtBot
) -> None:
    settings.set_token(home, "hf_another")
    dialog = opened(page, qtbot)
    push = result_face(dialog, adapter, passport())
    qtbot.waitUntil(push.button.isEnabled)
    qtbot.keyClicks(push.edit, "orders")
    qtbot.mouseClick(push.button, LEFT)
    assert "OWNER/NAME" in push.words.text()
    qtbot.keyClicks(push.edit, "/mine")
    assert push.words.text() == PRIVATE
    qtbot.mouseClick(push.button, LEFT)
    assert push.button.accessibleName() == "Cancel"
    qtbot.mouseClick(push.button, LEFT)
    assert push.words.text() == BROKEN_OFF
    qtbot.mouseClick(push.button, LEFT)
    qtbot.waitUntil(push.message.isVisible, timeout=SOON)
    assert push.message.title() == "Not allowed to write"
    assert hub.repos == {}
    with qtbot.waitSignal(push.busy, check_params_cb=lambda working: not working):
        qtbot.mouseClick(push.button, LEFT)
        dialog.reject()


def coloured(text: QTextEdit) -> list[str]:
    """What stands on a ground of its own."""
    found = []
    block = text.document().begin()
    while block.isValid():
        pieces = block.begin()
        while not pieces.atEnd():
            piece = pieces.fragment()
            if piece.charFormat().background().color().alpha():
                found.append(piece.text())
            pieces += 1
        block = block.next()
    return found


def test_a_failing_passport_names_its_reasons(show: Show) -> None:
    view = PassportView()
    view.show_passport(None)
    view.resize(600, 700)
    show(view)
    shown = (
        Example(
            prompt="Order 512", live=(Token(text="{"), Token(text="a", instead="Sure")), kl=2.0
        ),
        Example(prompt="Order 513", live=(Token(text="{"),), kl=1.0),
    )
    view.show_passport(passport(stops=(False, 1.0, 0.0), loss=(False, 2.4, 0.46)), shown)
    assert view.stamp.text() == "Failed"
    assert view.reasons == ["Stop", "Held-out loss"]
    assert view.examples is not None
    assert coloured(view.examples.text) == ["a", "\N{HAIR SPACE}Sure"]
    assert not view.examples.back.isEnabled()
    view.examples.forth.click()
    assert "Every token is the likeliest in both." in view.examples.text.toPlainText()
    other = Example(prompt="<s>user: Hi</s>", exported="<s>USER: Hi</s>", note="prompt")
    view.show_passport(passport(prompt=(False, 1.0, 0.0)), (other, *shown))
    text = view.examples.text
    assert text.toPlainText() == "Live:\n<s>user: Hi</s>\n\nExport:\n<s>USER: Hi</s>"
    assert coloured(text) == ["user", "USER"]
    view.show_passport(passport())
    assert (view.stamp.text(), view.reasons, view.examples) == ("Passed", [], None)
    view.show_passport(None)
    assert view.stamp.text() == "Not checked"
