"""From the outputs of a network trained with the CTC loss to text. Takes plain arrays."""

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
from seqvision.decoding.letter_ends import letter_ends
from seqvision.decoding.prior import Prior, bigram, indifferent, word_list

__all__ = [
    "BLANK",
    "Alignment",
    "Beams",
    "Decoded",
    "GreedyEvents",
    "GreedyState",
    "Prior",
    "align",
    "beam_decode",
    "bigram",
    "greedy_decode",
    "greedy_finish",
    "greedy_read",
    "greedy_start",
    "greedy_step",
    "indifferent",
    "letter_ends",
    "text_log_probability",
    "word_list",
]
