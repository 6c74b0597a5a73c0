"""Optional parts: the card that lists them and the dialog that installs them."""

from studio.ui.pages.parts.card import PartsCard
from studio.ui.pages.parts.dialog import InstallDialog, install

__all__ = ["InstallDialog", "PartsCard", "install"]
