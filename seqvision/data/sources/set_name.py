"""The name of a TFDS set, as people write it."""

import re

from seqvision.errors import UserError, did_you_mean

_VERSION = r"(?:\d+|\*)(?:\.(?:\d+|\*)){2}"
_NAME = re.compile(
    rf"(?P<set>[a-z]\w*)(?:/(?!{_VERSION}$)(?P<variant>[\w+.-]*\w[\w+.-]*))?(?::(?P<version>{_VERSION}))?",
    re.ASCII | re.IGNORECASE,
)
# As their makers write them.
_OTHERWISE = {"fashion-mnist": "fashion_mnist", "fashionmnist": "fashion_mnist"}


def checked_name(text: str) -> str:
    """A TFDS name: `mnist`, `emnist/letters`, `cifar10:3.0.2`.

    `FashionMNIST`, as TFDS names the class, is `fashion_mnist`. Whether there is such a set is not
    looked up.

    Raises:
      UserError: it is no name of a set, which may as well name a folder or match another set's.
    """
    end = re.search("[/:]|$", text)
    assert end is not None
    head, rest = text[: end.start()], text[end.start() :]
    match = _NAME.fullmatch(_OTHERWISE.get(head, head) + rest)
    if match is None:
        raise UserError(
            f"config.data.name: {text!r} is no name of a TFDS dataset, which is written as"
            f" 'mnist', 'emnist/letters' or 'cifar10:3.0.2'{_nearest(text)}"
        )
    # The rule of TFDS.
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", match["set"])
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()
    return name + match[0][match.end("set") :]


def _nearest(text: str) -> str:
    """The name of a set that differs in signs only, else one that is near."""
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    version = re.search(_VERSION, text)
    words = text[: version.start()] if version else text
    plain = _letters(words)
    near = [name for name in known if _letters(name) == plain]
    if near:
        return f"; did you mean '{near[0]}{f':{version[0]}' if version else ''}'?"
    own = "; your own files are read with config.data.source=folders or npz"
    return did_you_mean(words.lower(), known) or own


def _letters(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())
