"""Pure facts: the recipe, the events, what a run takes. Reads no disk."""
