"""What is on disk: folders, runs, models, adapters, datasets, settings."""
