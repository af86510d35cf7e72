"""Priors from text files, and what they change in the texts of a beam search."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqvision.config.data_schema import PRIORS
from seqvision.data.alphabet import Alphabet
from seqvision.decoding import prior as decoding_prior
from seqvision.errors import UserError
from seqvision.tasks.priors import load_prior
from seqvision.tasks.reading import TextReading

ALPHABET = Alphabet(("a", "b", "c", " "))


def read(prior: str, weight: float = 1.0, beam_width: int = 8) -> str:
    """Two columns: a or (less likely) b, then c or (less likely) b."""
    probabilities = np.array([[[0.02, 0.5, 0.45, 0.02, 0.01], [0.02, 0.02, 0.45, 0.5, 0.01]]])
    task = TextReading(ALPHABET.symbols, 0, 0, beam_width, prior, weight)
    decoded = jax.jit(task.decoder())(
        jnp.log(jnp.asarray(probabilities, jnp.float32)), jnp.array([2])
    )
    return ALPHABET.decode(np.asarray(decoded.symbols[0, : int(decoded.num_symbols[0])]))


def test_a_word_list_allows_its_words_alone(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    assert read("") == "ac"
    words.write_text("b\nbc\n")
    assert read(f"words:{words}") == "bc"


def test_a_bigram_prefers_frequent_pairs(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("ab\n" * 200)
    assert read(f"bigram:{texts}") == "ab"
    # 0.5 * 0.5 against 0.5 * 0.45: a weight near 0 leaves it to the network.
    assert read(f"bigram:{texts}", weight=1e-3) == "ac"


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    with pytest.raises(UserError, match=r"config.reading.prior: .*words.txt"):
        load_prior(f"words:{file}", ALPHABET)
    file.write_text("\n")
    with pytest.raises(UserError, match="is empty; give it one word or text a line"):
        load_prior(f"words:{file}", ALPHABET)
    file.write_text("xyz")
    with pytest.raises(UserError, match=r"its symbol 'x' .* is not in the alphabet"):
        load_prior(f"words:{file}", ALPHABET)
    file.write_bytes(b"\xff")
    with pytest.raises(UserError, match="is not text in UTF-8"):
        load_prior(f"bigram:{file}", ALPHABET)


def test_a_prior_is_read_when_it_decodes() -> None:
    """Live reading, and other priors, need no file that is gone."""
    task = TextReading(ALPHABET.symbols, 0, 0, 4, "words:/nowhere.txt")
    with pytest.raises(UserError, match=r"/nowhere\.txt cannot be read"):
        task.decoder()


def test_names_are_those_of_the_decoding() -> None:
    assert PRIORS == decoding_prior.PRIORS
