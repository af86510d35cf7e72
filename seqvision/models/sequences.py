"""How an image becomes a sequence."""

from seqvision.shapes import Images, Sequence


def rows(images: Images) -> Sequence:
    """Each row is one time step, top to bottom: (B, height, width * channels)."""
    num_images, height, width, channels = images.shape
    return images.reshape(num_images, height, width * channels)
