"""What DAG authors use to wait: ``run_completed`` for a run, ``credits`` for credits. Base: ``outcome``."""
