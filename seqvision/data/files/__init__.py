"""Image, clip and video files as arrays."""
