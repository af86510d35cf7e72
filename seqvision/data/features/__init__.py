"""Features of frames: computed by a frozen backbone, and kept for the next start."""
