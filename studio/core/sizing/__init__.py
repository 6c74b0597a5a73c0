"""What a model and its training take in memory, term by term: arithmetic, no torch."""
