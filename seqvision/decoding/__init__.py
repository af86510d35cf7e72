"""Decoding of the outputs of a network trained with the CTC loss. Takes plain arrays.

`greedy_decode` takes the best path and `beam_decode` the best texts, with a prior over texts from
`create_prior` if wanted; `greedy_start`, `greedy_step`, `greedy_read` and `greedy_finish` decode
columns as they arrive. `align` finds the columns of texts that are known, and
`text_log_probability` their probabilities.
"""

from seqvision.decoding.align import Alignment, align, text_log_probability
from seqvision.decoding.beam import Beams, beam_decode
from seqvision.decoding.decoded import BLANK, Decoded
from seqvision.decoding.greedy import (
    GreedyEvents,
    GreedyState,
    greedy_decode,
    greedy_finish,
    greedy_read,
    greedy_start,
    greedy_step,
)
from seqvision.decoding.letter_ends import letter_end, letter_ends
from seqvision.decoding.prior import PRIORS, Prior, bigram, create_prior, indifferent, word_list

__all__ = [
    "BLANK",
    "PRIORS",
    "Alignment",
    "Beams",
    "Decoded",
    "GreedyEvents",
    "GreedyState",
    "Prior",
    "align",
    "beam_decode",
    "bigram",
    "create_prior",
    "greedy_decode",
    "greedy_finish",
    "greedy_read",
    "greedy_start",
    "greedy_step",
    "indifferent",
    "letter_end",
    "letter_ends",
    "text_log_probability",
    "word_list",
]
