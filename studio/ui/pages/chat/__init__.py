"""Chat: a model, bare or with adapters, side by side."""

from studio.ui.pages.chat.page import ChatPage

__all__ = ["ChatPage"]
