"""Settings: how the studio looks, where things are, the hub token, and what works here."""

from studio.ui.pages.settings.page import SettingsPage

__all__ = ["SettingsPage"]
