"""One small process for each home: it owns the engines' processes and serves their events."""
