"""All that is known of one adapter, and the buttons that act on it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from studio.library.adapters import AdapterFacts
from studio.library.adapters.history import History
from studio.ui import format as say
from studio.ui.pages.library.lineage import Lineage
from studio.ui.pages.library.story import Story
from studio.ui.tables import adapters as table
from studio.ui.tables.runs import when
from studio.ui.widgets import (
    Button,
    Card,
    ElidedLabel,
    IconButton,
    InlineMessage,
    LineEdit,
    Pill,
    ScrollArea,
    Separator,
    column,
    label,
    row,
)
from studio.ui.widgets.fitting_edit import FittingEdit
from studio.ui.widgets.flow import FlowLayout
from studio.ui.widgets.sparkline import Sparkline

WIDTH, LEAST_WIDTH, SHOWN_SAMPLES = 380, 356, 4
_LINES = (
    "Base", "Method", "Variant", "Rank", "Alpha", "Targets", "Mixture", "Dataset", "Created",
    "Size", "Run",
)  # fmt: skip


class Details(Card):
    """Shows one adapter; the page connects the buttons. `annotated` has what was typed: notes
    and tags, or None for what was not touched."""

    annotated = Signal(object, object)

    def __init__(self) -> None:
        super().__init__(margin=0, spacing=0)
        self.setMinimumWidth(LEAST_WIDTH)
        self.setMaximumWidth(WIDTH)
        self.facts: AdapterFacts | None = None
        self.story: Story | None = None
        self.name = ElidedLabel("", "h2", Qt.TextElideMode.ElideRight)
        self.pill = Pill()
        self.problem = InlineMessage()
        self.chat = Button("Chat with it", "primary", "chat", "Beside its base, from one prompt")
        self.compare = Button("Compare", "", "list", "The same prompts to it and to others")
        self.mix = Button("Mix", "", "sliders", "Mix it with other adapters of its base")
        self.merge = Button("Merge", "", "merge", "Write base and adapter as one model folder")
        self.export = Button("Export", "", "upload", "For llama.cpp, Ollama, the hub and others")
        self.use = Button("Use it in other programs", "", "globe", "Over OpenAI's interface")
        self.rename = IconButton("pencil", "Rename")
        self.delete = IconButton("trash", "Delete: moves it to the trash")
        self.folder = IconButton("folder", "Open its folder")
        self.lineage = Lineage()
        self.losses = Sparkline()
        self.sample = label("", "sub", wrap=True, selectable=True)
        self.notes = _Notes("Notes")
        self.notes.setPlaceholderText("What it is good at, what to try next")
        self.tags = LineEdit("Tags, with commas between them", "", "Tags, with commas between them")
        self.recipe = Button("Open the recipe", "link")
        self.again = Button("New run from it", "link")
        self.run = Button("Open the run", "link")
        self.locate = Button("Where is it?", "link")
        elide = Qt.TextElideMode.ElideRight
        self._values = {name: ElidedLabel("", "", elide) for name in _LINES}
        self._names: dict[str, QLabel] = {}
        self._lay_out()
        self.notes.left.connect(self._notes_left)
        self.tags.editingFinished.connect(self._tags_left)

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, super().sizeHint().height())

    def show_adapter(self, facts: AdapterFacts) -> None:
        """Show another adapter, or the same one changed; its story follows."""
        another = self.facts is None or self.facts.path != facts.path
        if another:
            self._hide_story()
            self._scroll.verticalScrollBar().setValue(0)
        self.facts = facts
        self.name.setText(facts.name)
        self.pill.show_as("imported" if facts.imported else "", "plain")
        self.problem.setVisible(False)
        if facts.problem:
            self.problem.show_message("This adapter can't be used", facts.problem)
        for button in self._acts:
            button.setEnabled(not facts.problem)
        for name, value in _texts(facts).items():
            self._values[name].setText(value)
            self._values[name].setVisible(bool(value))
            self._names[name].setVisible(bool(value))
        self._loss_line.setText(losses(facts))
        self._run_section.setVisible(bool(losses(facts)))
        self._annotations.setVisible(not facts.problem)
        if another or not self.notes.hasFocus():
            self.notes.setPlainText(facts.notes)
        if another or not self.tags.hasFocus():
            self.tags.setText(", ".join(facts.tags))

    def show_story(self, story: Story) -> None:
        """Show what was read of its run, where it is still this adapter's."""
        if self.facts is None or story.path != self.facts.path:
            return
        self.story = story
        told = story.history
        drawn = len(told.train) > 1 or len(told.held_out) > 1
        self.losses.show_losses(told.train, told.held_out)
        self.losses.setVisible(drawn)
        self._run_section.setVisible(drawn or self._loss_line.text() != "")
        self.sample.setText(last_samples(told))
        self._sample_section.setVisible(bool(told.samples))
        self.recipe.setVisible(bool(story.recipe))
        self.again.setVisible(bool(story.recipe))
        self.run.setVisible(story.run_there)
        self._links.setVisible(bool(story.recipe) or story.run_there)
        self._missing.setVisible(bool(story.missing))
        self._missing_text.setText(story.missing)

    def show_lineage(self, children: list[AdapterFacts], there: frozenset[str]) -> None:
        """Show where the adapter came from and what became of it."""
        if self.facts is not None:
            self._chain.setVisible(self.lineage.show_chain(self.facts, children, there))

    def offer(self, *, mix: bool, export: bool) -> None:
        """Whether somebody would hear that it is to be mixed or exported."""
        self.mix.setVisible(mix)
        self.export.setVisible(export)

    def value(self, name: str) -> str:
        """What stands beside this name."""
        return self._values[name].text()

    @property
    def loss(self) -> str:
        """The losses in words."""
        return self._loss_line.text()

    @property
    def _acts(self) -> tuple[Button, ...]:
        return (
            self.chat, self.compare, self.mix, self.merge, self.export, self.use, self.rename,
        )  # fmt: skip

    def _lay_out(self) -> None:
        head = row(self.name, self.pill, spacing=8)
        head.setStretch(0, 1)
        acts = FlowLayout()
        for button in self._acts[:-1]:
            acts.addWidget(button)
        self._missing_text = label("", "warn", wrap=True)
        self._missing = _section("", self._missing_text, row(self.locate, None))
        self._loss_line = label("", "sub", wrap=True)
        self._run_section = _section("Losses", self.losses, self._loss_line)
        self._sample_section = _section("Last samples of its run", self.sample)
        self._chain = _section("Lineage", self.lineage)
        self._annotations = _section("Notes and tags", self.notes, self.tags)
        self._links = QWidget()
        links = FlowLayout(spacing=2)
        for button in (self.again, self.recipe, self.run):
            links.addWidget(button)
        self._links.setLayout(links)
        self._scroll = ScrollArea(margins=(18, 18, 18, 14), spacing=14)
        inside = self._scroll.body
        inside.addLayout(head)
        inside.addWidget(self.problem)
        inside.addLayout(acts)
        inside.addWidget(self._missing)
        inside.addWidget(Separator())
        inside.addLayout(self._grid())
        for part in (
            self._links, self._run_section, self._sample_section, self._chain, self._annotations,
        ):  # fmt: skip
            inside.addWidget(part)
        inside.addStretch(1)
        foot = row(self.rename, self.delete, None, self.folder, spacing=4)
        foot.setContentsMargins(14, 8, 14, 10)
        self.add(self._scroll, Separator(), foot)
        self._hide_story()

    def _hide_story(self) -> None:
        self.story = None
        for part in (
            self._missing, self._run_section, self._sample_section, self._links, self._chain,
            self.losses,
        ):  # fmt: skip
            part.hide()

    def _grid(self) -> QGridLayout:
        made = QGridLayout()
        made.setContentsMargins(0, 0, 0, 0)
        made.setHorizontalSpacing(14)
        made.setVerticalSpacing(7)
        made.setColumnStretch(1, 1)
        for line, name in enumerate(_LINES):
            self._names[name] = label(name, "mute")
            self._names[name].setBuddy(self._values[name])
            made.addWidget(self._names[name], line, 0)
            made.addWidget(self._values[name], line, 1)
        return made

    def _notes_left(self) -> None:
        notes = self.notes.toPlainText().strip()
        if self.facts is not None and notes != self.facts.notes:
            self.annotated.emit(notes, None)

    def _tags_left(self) -> None:
        tags = [tag.strip() for tag in self.tags.text().split(",") if tag.strip()]
        if self.facts is not None and tuple(tags) != self.facts.tags:
            self.annotated.emit(None, tags)


class _Notes(FittingEdit):
    """Emits `left` when the keyboard goes elsewhere."""

    left = Signal()

    def __init__(self, name: str) -> None:
        super().__init__(name, least=2, most=8)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.left.emit()


def _section(title: str, *parts: object) -> QWidget:
    made = QWidget()
    head = (label(title, "cap"),) if title else ()
    made.setLayout(column(*head, *parts, spacing=8))  # type: ignore[arg-type]
    return made


def _texts(facts: AdapterFacts) -> dict[str, str]:
    return {
        "Base": facts.base_name or "not named",
        "Method": table.METHODS.get(facts.method, facts.method),
        "Variant": ", ".join(facts.variants),
        "Rank": str(facts.rank or ""),
        "Alpha": f"{facts.alpha:g}" if facts.alpha else "",
        "Targets": table.modules(facts),
        "Mixture": facts.mixed_by,
        "Dataset": table.dataset_name(facts),
        "Created": when(facts.created_at) if facts.created_at else "",
        "Size": say.size(facts.bytes) if facts.bytes else "",
        "Run": facts.run,
    }


def last_samples(told: History) -> str:
    """What was answered to each prompt when it was last asked."""
    latest = [each for each in told.samples if each.step == told.samples[-1].step]
    return "\n\n".join(f"{each.prompt}\n→ {each.text}" for each in latest[:SHOWN_SAMPLES])


def losses(facts: AdapterFacts) -> str:
    """Both losses in one line; "" where neither is known."""
    known = (("Training", facts.train_loss), ("Held out", facts.eval_loss))
    return table.DOT.join(f"{name} {table.loss(loss)}" for name, loss in known if loss is not None)
