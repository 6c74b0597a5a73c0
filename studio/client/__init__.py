"""How window and command line reach keeper and preparer: find or start them, ask, listen."""
