"""The workdir of a run: checkpoints, metrics, description, lock; writing and loading them."""
