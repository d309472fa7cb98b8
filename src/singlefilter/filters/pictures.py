"""How many test images are shown of a data set, and how large, so that a page of them stays small."""

MOST_SIDE = 64  # pixels; larger images are shown smaller
MOST_PIXELS = 3 * 2**22  # of all pictures: 3,072 of 64 pixels per side, or 12,288 of 32


def picture_side(side: int) -> int:
    """Give the side of a picture of an image of so many pixels per side."""
    return min(side, MOST_SIDE)


def picture_count(images: int, side: int) -> int:
    """Say how many images of a test set are shown: the first ones, in an order that has nothing to do with them.

    Args:
        images: Of the test set.
        side: Of an image, in pixels.
    """
    return min(images, MOST_PIXELS // picture_side(side) ** 2)
