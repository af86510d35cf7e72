"""The name of a TFDS set, as people write it."""

import re

from seqvision.errors import UserError, did_you_mean

_VERSION = r"(?:\d+|\*)(?:\.(?:\d+|\*)){2}"
_NAME = re.compile(
    rf"(?P<set>[a-z]\w*)(?:/(?!{_VERSION}$)(?P<variant>[\w+.-]*\w[\w+.-]*))?(?::(?P<version>{_VERSION}))?",
    re.ASCII | re.IGNORECASE,
)
# As their makers write them; others are looked up.
_OTHERWISE = {"fashion-mnist": "fashion_mnist", "fashionmnist": "fashion_mnist"}
_WORDS = re.compile(r"[a-z][a-z0-9_ -]*[a-z0-9]", re.ASCII | re.IGNORECASE)


def checked_name(text: str) -> str:
    """A TFDS name: `mnist`, `emnist/letters`, `cifar10:3.0.2`.

    `FashionMNIST`, as TFDS names the class, is `fashion_mnist`; so is `Fashion-MNIST`, and
    `CIFAR-10` is `cifar10`: the same letters and numbers. Whether there is such a set is not
    otherwise looked up.

    Raises:
      UserError: it is no name of a set, which may as well name a folder or match another set's.
    """
    end = re.search("[/:]|$", text)
    assert end is not None
    head, rest = text[: end.start()], text[end.start() :]
    head = _OTHERWISE.get(head.lower(), head)
    if re.search(r"[ -]|_\d", head) and _WORDS.fullmatch(head):
        head = _of_same_letters(head) or head
    match = _NAME.fullmatch(head + rest)
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
    version = re.search(_VERSION, text)
    words = text[: version.start()] if version else text
    if near := _of_same_letters(words):
        return f"; did you mean '{near}{f':{version[0]}' if version else ''}'?"
    known = _known()
    own = "; your own files are read with config.data.source=folders or npz"
    return did_you_mean(words.lower(), known) or own


def _of_same_letters(text: str) -> str:
    """The set whose name has the same letters and numbers; "" where there is none, or several."""
    known = _known()
    near = [name for name in known if _letters(name) == _letters(text)]
    return text if text in near else near[0] if len(near) == 1 else ""


def _known() -> list[str]:
    import tensorflow_datasets as tfds

    return list(tfds.list_builders(with_community_datasets=False))


def _letters(text: str) -> str:
    """Without signs, but for those between two numbers: `cifar10_1` is not `cifar101`."""
    return re.sub(r"(?<!\d)_|_(?!\d)", "", re.sub("[^a-z0-9]+", "_", text.lower()))
