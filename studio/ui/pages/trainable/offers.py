"""One model that a card can train, on a line."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from studio.core.catalogue import Offer
from studio.core.recipe import Method
from studio.ui import format as say
from studio.ui.icons import IconLabel
from studio.ui.pages.new_run.fit.badges import badge
from studio.ui.widgets import Button, ElidedLabel, Pill, column, row

DOT = " \N{MIDDLE DOT} "


class OfferLine(QWidget):
    """Name, size and licence, what it takes, how it fits by each method, and a button."""

    wanted = Signal(str)
    """The id of a model on the hub."""

    def __init__(self, offer: Offer, methods: Mapping[Method, bool]) -> None:
        super().__init__()
        self.model = offer.model
        about = [
            f"{say.parameters(offer.model.parameters)} parameters",
            f"{say.count(offer.model.context_length)} tokens" if offer.model.context_length else "",
            offer.model.licence,
            f"takes at most {say.size(offer.estimate.needed_bytes)}",
        ]
        name = ElidedLabel(offer.model.id, "b")
        detail = ElidedLabel(DOT.join(part for part in about if part), "mute")
        pills = [
            Pill(*badge(method, "fits" if fits else "too big")) for method, fits in methods.items()
        ]
        self.button = Button("Use it")
        self.button.setAccessibleName(f"Use {offer.model.id}")
        self.button.clicked.connect(lambda: self.wanted.emit(offer.model.id))
        inside = row(
            IconLabel("box", "sub", 18),
            column(name, detail, row(*pills, None, spacing=6), spacing=4),
            spacing=12,
        )
        inside.setContentsMargins(0, 10, 0, 10)
        inside.setStretch(1, 1)
        inside.addWidget(self.button)
        self.setLayout(inside)
        self.setToolTip(
            f"Numbers from {offer.model.config_source} and {offer.model.parameters_source}"
        )
        self.setAccessibleName(f"{offer.model.id}. {detail.text()}")
