// What the forward and the backward call share: sizes, masks, what is kept between them.
#ifndef SEQVISION_CALL_H_
#define SEQVISION_CALL_H_

#include <algorithm>
#include <cstdint>

#include "numbers.h"
#include "vectors.h"

namespace seqvision {

struct Sizes {
  int64_t batch, steps, inputs, units;

  int64_t panels() const { return (units + kLanes - 1) / kLanes; }
  int64_t padded() const { return panels() * kLanes; }
  // Of a row that meets the weights: the inputs, a one for the bias, the hidden state.
  int64_t features() const { return inputs + 1 + padded(); }
  int64_t first_unit() const { return inputs + 1; }
  // Panels of units as columns, on the way back.
  int64_t wide_panels() const { return (padded() + kPanel - 1) / kPanel; }
  int64_t wide() const { return wide_panels() * kPanel; }
};

// What is kept of all steps for the way back, one block of sequences after another.
struct Kept {
  Word* features;        // (steps, rows, Words(features))
  float *cells, *gates;  // (steps + 1, rows, padded), (steps, rows, 4 padded)
};

// The arguments of a call that forward and backward share. Masks are null where there are none.
struct Call {
  Sizes sizes;
  const bool* step_mask;        // (batch, steps)
  const float* candidate_mask;  // (batch, units)
  bool reverse;

  // Where a step lies among all steps of all sequences.
  int64_t at(int64_t sequence, int64_t step) const {
    return sequence * sizes.steps + (reverse ? sizes.steps - 1 - step : step);
  }
  bool reads(int64_t sequence, int64_t step) const {
    return !step_mask || step_mask[at(sequence, step)];
  }
};

// The units of some sequences of a call, (rows, units), with `stride` floats for each row.
inline void Pad(const float* from, int64_t first, int64_t rows, int64_t units, float* to,
                int64_t stride) {
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(from + (first + row) * units, units, to + row * stride);
}

inline void Unpad(const float* from, int64_t stride, int64_t rows, int64_t units, float* to,
                  int64_t first) {
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(from + row * stride, units, to + (first + row) * units);
}

}  // namespace seqvision

#endif  // SEQVISION_CALL_H_
