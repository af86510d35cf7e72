"""Priors of the beam search, made from a text file: `config.reading.prior`."""

from seqvision.config.user_path import expanded
from seqvision.data.alphabet import Alphabet
from seqvision.decoding.prior import Prior, create_prior
from seqvision.errors import UserError
from seqvision.runtime.regular_file import read_regular

_FIELD = "config.reading.prior"


def load_prior(name: str, alphabet: Alphabet) -> Prior | None:
    """The prior of that name, see `config.reading.prior`.

    Args:
      name: `words:FILE`, a file of words; `bigram:FILE`, a file of texts, one a line; "" for none.
      alphabet: the symbols of the words or texts.

    Raises:
      UserError: the file cannot be read, is empty or has symbols that the alphabet lacks.
    """
    if not name:
        return None
    kind, _, file = name.partition(":")
    path = expanded(file, _FIELD)
    try:
        text = read_regular(path).decode()
    except OSError as error:
        raise UserError(
            f"{_FIELD}: {path} cannot be read ({error.strerror}); name a file of words or texts"
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{_FIELD}: {path} is not text in UTF-8; save it so") from None
    lines = text.split() if kind == "words" else [line for line in text.splitlines() if line]
    if not lines:
        raise UserError(f"{_FIELD}: {path} is empty; give it one word or text a line")
    try:
        texts = [alphabet.encode(line) for line in lines]
    except UserError as error:
        raise UserError(f"{_FIELD}: {path}: {error}") from None
    space = alphabet.symbols.index(" ") + 1 if " " in alphabet.symbols else None
    return create_prior(kind, texts, len(alphabet) + 1, space)
