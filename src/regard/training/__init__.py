"""The trainer: numbered steps over any stream of batches."""
