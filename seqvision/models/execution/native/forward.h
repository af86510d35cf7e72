// The LSTM over all steps.
#ifndef SEQVISION_FORWARD_H_
#define SEQVISION_FORWARD_H_

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "call.h"
#include "tiles.h"
#include "vectors.h"

namespace seqvision {

// The weights (inputs + 1 + units, 4 units) as panels (panels, features, kPanel).
inline Scratch PackForward(const Sizes& sizes, const float* weights) {
  Scratch packed = Zeros(sizes.panels() * sizes.features() * kPanel);
  for (int64_t row = 0; row < sizes.first_unit() + sizes.units; ++row)
    for (int gate = 0; gate < 4; ++gate)
      for (int64_t unit = 0; unit < sizes.units; ++unit) {
        const float value = weights[row * 4 * sizes.units + gate * sizes.units + unit];
        const int64_t panel = unit / kLanes, lane = gate * kLanes + unit % kLanes;
        packed.get()[(panel * sizes.features() + row) * kPanel + lane] =
            gate == 2 ? value : 0.5f * value;
      }
  return packed;
}

// One step of the sequences for the units of one panel.
struct StepTile {
  const Sizes& sizes;
  const float *features, *panel, *cells, *candidate_mask;
  float *new_hidden, *new_cells, *gates;

  template <int kCount>
  void Run(int64_t row) const {
    const int64_t width = sizes.features(), padded = sizes.padded();
    Vector sums[kCount][4] = {};
    Multiply<kCount>(features + row * width, width, 1, panel, width, sums);
    for (int r = 0; r < kCount; ++r) {
      const int64_t at = row + r;
      // The weights of i, f and o are halved: sigmoid(z) = (1 + tanh(z / 2)) / 2.
      const Vector i = 0.5f * Tanh(sums[r][0]) + 0.5f, f = 0.5f * Tanh(sums[r][1]) + 0.5f;
      const Vector g = Tanh(sums[r][2]), o = 0.5f * Tanh(sums[r][3]) + 0.5f;
      const Vector written = candidate_mask ? g * At(candidate_mask + at * padded) : g;
      const Vector c = f * At(cells + at * padded) + i * written;
      At(new_cells + at * padded) = c;
      At(new_hidden + at * width) = o * Tanh(c);
      float* kept = gates + at * 4 * padded;
      At(kept) = i;
      At(kept + kLanes) = f;
      At(kept + 2 * kLanes) = g;
      At(kept + 3 * kLanes) = o;
    }
  }
};

struct ForwardCall : Call {
  const float *inputs, *cells, *hidden, *packed;
  float *outputs, *final_cells, *final_hidden;

  // Sequences first to first + rows. Without a place to keep things, two steps take turns.
  void Run(int64_t first, int64_t rows, const Kept* kept) const {
    const int64_t width = sizes.features(), padded = sizes.padded();
    const int64_t slots = kept ? sizes.steps + 1 : 2;
    Scratch own_features, own_cells, own_gates, mask;
    Kept at;
    if (kept) {
      at = {kept->features + first * slots * width, kept->cells + first * slots * padded,
            kept->gates + first * sizes.steps * 4 * padded};
      std::memset(at.features, 0, rows * width * sizeof(float));
      std::memset(at.cells, 0, rows * padded * sizeof(float));
    } else {
      own_features = Zeros(rows * slots * width);
      own_cells = Zeros(rows * slots * padded);
      own_gates = Zeros(rows * 4 * padded);
      at = {own_features.get(), own_cells.get(), own_gates.get()};
    }
    if (candidate_mask) {
      mask = Zeros(rows * padded);
      Pad(candidate_mask, first, rows, sizes.units, mask.get(), padded);
    }
    Pad(cells, first, rows, sizes.units, at.cells, padded);
    Pad(hidden, first, rows, sizes.units, at.features + sizes.first_unit(), width);
    for (int64_t step = 0; step < sizes.steps; ++step) {
      float* now = at.features + (step % slots) * rows * width;
      float* next = at.features + ((step + 1) % slots) * rows * width;
      float* cells_now = at.cells + (step % slots) * rows * padded;
      float* cells_next = at.cells + ((step + 1) % slots) * rows * padded;
      for (int64_t row = 0; row < rows; ++row) {
        const float* from = inputs + ((first + row) * sizes.steps + time(step)) * sizes.inputs;
        std::copy_n(from, sizes.inputs, now + row * width);
        now[row * width + sizes.inputs] = 1.0f;
      }
      float* gates = at.gates + (kept ? step * rows * 4 * padded : 0);
      for (int64_t panel = 0; panel < sizes.panels(); ++panel) {
        const int64_t unit = panel * kLanes;
        const StepTile tile{sizes,
                            now,
                            packed + panel * width * kPanel,
                            cells_now + unit,
                            mask ? mask.get() + unit : nullptr,
                            next + sizes.first_unit() + unit,
                            cells_next + unit,
                            gates + 4 * unit};
        RunTiles<kRows>(0, rows, tile);
      }
      for (int64_t row = 0; row < rows; ++row) {
        float* hidden_next = next + row * width + sizes.first_unit();
        float* output = outputs + ((first + row) * sizes.steps + time(step)) * sizes.units;
        if (reads(first + row, step)) {
          std::copy_n(hidden_next, sizes.units, output);
        } else {
          std::fill_n(output, sizes.units, 0.0f);
          std::copy_n(now + row * width + sizes.first_unit(), padded, hidden_next);
          std::copy_n(cells_now + row * padded, padded, cells_next + row * padded);
        }
      }
    }
    const int64_t last = sizes.steps % slots;
    Unpad(at.cells + last * rows * padded, padded, rows, sizes.units, final_cells, first);
    Unpad(at.features + last * rows * width + sizes.first_unit(), width, rows, sizes.units,
          final_hidden, first);
  }
};

}  // namespace seqvision

#endif  // SEQVISION_FORWARD_H_
