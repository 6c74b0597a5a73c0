"""Step 1: the model to start from."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QButtonGroup, QFileDialog

from studio.core.facts import Machine, ModelFacts
from studio.library import models
from studio.library.models import STARTER, starter, starter_path
from studio.library.models.shelf import hub_folder
from studio.ui import format as say
from studio.ui.background import Task
from studio.ui.pages.new_run.draft import RecipeDraft
from studio.ui.pages.new_run.fetching import Fetching, fetch, take_in
from studio.ui.pages.new_run.fit.badges import badges
from studio.ui.pages.new_run.hub_search import HubSearch
from studio.ui.pages.new_run.looking import RowsLooker
from studio.ui.pages.new_run.model_cards import ModelCards, describe
from studio.ui.pages.new_run.step import MODEL, Step
from studio.ui.session import Session
from studio.ui.widgets import (
    Button,
    DropZone,
    InlineMessage,
    OptionCard,
    ProblemList,
    label,
    row,
)


class ModelStep(Step):
    """The starter model, models on this machine, a folder or GGUF file, the hub."""

    heading = "Choose a model"
    text = "Training starts from this model and makes it your own."

    def __init__(self, session: Session, draft: RecipeDraft, rows: RowsLooker) -> None:
        super().__init__(session, draft, rows)
        self._task: Task | None = None
        self._starter_facts: ModelFacts | None = None
        self._badged: tuple[ModelFacts | None, Machine | None] | None = None
        self.starter = self._starter_card()
        self.missing = InlineMessage()
        self.missing.acted.connect(lambda: self._get(STARTER))
        self.fetching = Fetching(session)
        self.fetching.arrived.connect(self._arrived)
        self.cards = ModelCards(draft)
        self.cards.chosen.connect(lambda path: draft.set_model(path))
        self._none = label("None yet: drop one below, or search the hub.", "mute")
        self._problems = ProblemList()
        self.hub = HubSearch(session, draft)
        self.hub.wanted.connect(self._get)
        self._lay_out()
        session.models_changed.connect(self.reload)
        session.settings_changed.connect(self.reload)  # one more folder to look in
        self.reload()

    def _starter_card(self) -> OptionCard:
        facts = starter()
        card = OptionCard(facts.name, _starter_text(None), "zap", height=104, pills_below=True)
        card.clicked.connect(lambda: self.draft.set_model(STARTER))
        group = QButtonGroup(self)
        group.setExclusive(False)
        group.addButton(card)
        return card

    def _lay_out(self) -> None:
        self.drop = DropZone(
            "Drop a model folder or a GGUF file here", "or press to browse for a GGUF file"
        )
        self.drop.dropped.connect(lambda paths: self._take(paths[0]))
        self.drop.pressed.connect(self._browse_gguf)
        self.folder = Button("Use a folder", icon_name="folder")
        self.folder.clicked.connect(self._browse_folder)
        body = self.body
        body.addWidget(self._problems)
        body.addWidget(self.fetching)
        self.trainable = Button("What could I train on this card?", "link")
        self.trainable.clicked.connect(self._ask_trainable)
        body.addLayout(row(label("FOR A FIRST TRY", "cap"), None, self.trainable))
        body.addWidget(self.starter)
        body.addWidget(self.missing)
        body.addSpacing(4)
        body.addLayout(row(label("ON THIS COMPUTER", "cap"), None, self.folder))
        body.addWidget(self._none)
        body.addWidget(self.cards)
        body.addWidget(self.drop)
        body.addSpacing(4)
        body.addWidget(label("FROM THE HUB", "cap"))
        body.addWidget(self.hub)
        body.addStretch(1)

    def complete(self) -> bool:
        return bool(self.draft.model_path)

    def reload(self) -> None:
        """Look for models anew, in the background."""
        if self._task is not None:
            self._task.cancel()
        home = self.session.home
        self._task = self.session.background(models.listing, home, done=self._listed)
        if self.draft.is_starter and self.draft.model is None:
            self.draft.model_changed.emit()

    def refresh(self) -> None:
        own = str(starter_path(self.session.home))
        self.starter.setChecked(self.draft.is_starter or self.draft.model_path == own)
        self._show_starter()
        self.cards.refresh()
        found = [p for p in self.draft.problems if MODEL.owns(p) and p.severity != "info"]
        self._problems.show_problems(found if self.draft.model_path else [])

    def _show_starter(self) -> None:
        facts = self._starter_facts
        self.starter.set_text(_starter_text(facts))
        self.starter.set_pills(
            badges(facts, self.draft.around.told)
            if facts
            else [("Not on this machine yet", "plain")]
        )
        wanting = facts is None and self.starter.isChecked() and not self.fetching.busy
        if wanting and self.missing.isHidden():
            self.missing.show_message(
                "The starter model isn't here yet",
                "It is fetched before the run starts. Get it now to see what it would take and "
                "how it reads your rows.",
                tone="info",
                action="Get it now",
            )
        self.missing.setVisible(wanting)

    def _badge_starter(self, facts: ModelFacts | None) -> None:
        badged = facts, self.draft.around.told
        if badged == self._badged:
            return
        self._badged = badged
        missing = [("Not on this machine yet", "plain")]
        self.starter.set_pills(badges(facts, badged[1]) if facts else missing)

    def _listed(self, found: list[ModelFacts]) -> None:
        self._task = None
        own = str(starter_path(self.session.home))
        self._starter_facts = next((f for f in found if f.path == own), None)
        others = [facts for facts in found if facts.path != own]
        self.cards.show_models(others)
        self._none.setVisible(not others)
        self.refresh()

    def want(self, name: str) -> None:
        """Take a model of the hub: the one on this machine, or else fetch it."""
        here = str(hub_folder(self.session.home, name))
        if here in self.cards.cards:
            self.draft.set_model(here)
        else:
            self._get(name)

    def _get(self, name: str) -> None:
        shown = starter().name if name == STARTER else name
        self.fetching.begin(f"Getting {shown}", fetch, name)
        self.ensureWidgetVisible(self.fetching)
        self.refresh()

    def _take(self, path: Path) -> None:
        """A dropped or chosen thing: a folder is used where it lies, a GGUF file imported."""
        if path.is_dir():
            self.draft.set_model(str(path))
        else:
            self.fetching.begin(f"Importing {path.name}", take_in, path)
            self.ensureWidgetVisible(self.fetching)

    def _arrived(self, path: str) -> None:
        own = path == str(starter_path(self.session.home))
        self.draft.set_model(STARTER if own else path)
        name = Path(path).name.replace("--", "/", 1)  # a hub model lies in organisation--name
        self.session.said.emit(f"{name} is ready", "ok")

    def _ask_trainable(self) -> None:
        from studio.ui.pages.trainable import TrainableDialog

        TrainableDialog(self.session, self.window()).exec()

    def _browse_gguf(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Import a GGUF file", "", "GGUF models (*.gguf);;All files (*)"
        )
        if chosen:
            self._take(Path(chosen))

    def _browse_folder(self) -> None:
        if chosen := QFileDialog.getExistingDirectory(self, "Choose a model folder"):
            self._take(Path(chosen))


def _starter_text(facts: ModelFacts | None) -> str:
    about = starter()
    if facts is not None:
        return describe(facts)
    return (
        f"{say.parameters(about.parameters)} parameters, {about.licence}, fetched once "
        f"({say.size(about.gguf_bytes)}). Small enough to try everything with."
    )
