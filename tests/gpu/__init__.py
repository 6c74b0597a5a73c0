"""What only a card can show; all of it also runs through on a processor, as far as one goes."""
