"""The window: the only place Qt lives."""
