"""The only place torch lives: one process for one job, which ends when the job does."""
