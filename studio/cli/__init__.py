"""The command line: the window's verbs without a window."""
