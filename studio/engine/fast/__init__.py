"""The same mathematics as the libraries' plain layers, in fewer passes over memory."""
