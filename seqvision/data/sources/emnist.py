"""Symbols of the classes of EMNIST (Cohen et al., 2017, arXiv 1702.05373), by TFDS's variants.

TFDS names the classes by their numbers. In `letters`, where a class has both cases, its symbol is
the small letter.
"""

import string

_ALL = string.digits + string.ascii_uppercase + string.ascii_lowercase
# The small letters that `bymerge` and `balanced` do not tell from capitals (section II.B).
_MERGED = "".join(symbol for symbol in _ALL if symbol not in "cijklmopsuvwxyz")
SYMBOLS = {
    "byclass": _ALL,
    "bymerge": _MERGED,
    "balanced": _MERGED,
    "letters": string.ascii_lowercase,
    "digits": string.digits,
    "mnist": string.digits,
}
# `letters` counts from 1, and TFDS gives it 37 classes.
FIRST_LABEL = {"letters": 1}
