// The gradients of the LSTM over all steps.
#ifndef SEQVISION_BACKWARD_H_
#define SEQVISION_BACKWARD_H_

#include <algorithm>
#include <cstdint>

#include "call.h"
#include "tiles.h"
#include "vectors.h"

namespace seqvision {

// Rows of the products that sum up the gradient of the weights: so many stay in the cache.
constexpr int64_t kGradientRows = 256;

// The recurrent weights, transposed, as panels (wide_panels, 4 padded, kPanel) of units.
inline Scratch PackBackward(const Sizes& sizes, const float* weights) {
  Scratch packed = Zeros(sizes.wide_panels() * 4 * sizes.padded() * kPanel);
  for (int64_t to = 0; to < sizes.units; ++to)
    for (int gate = 0; gate < 4; ++gate)
      for (int64_t unit = 0; unit < sizes.units; ++unit) {
        const int64_t row = unit / kLanes * kPanel + gate * kLanes + unit % kLanes;
        packed.get()[(to / kPanel * 4 * sizes.padded() + row) * kPanel + to % kPanel] =
            weights[(sizes.first_unit() + to) * 4 * sizes.units + gate * sizes.units + unit];
      }
  return packed;
}

struct BackwardCall : Call {
  const float* d_outputs;  // (batch, steps, units), or null
  const float *d_final_cells, *d_final_hidden, *packed;
  Kept kept;
  float *d_cells, *d_hidden;
  float* d_gates;  // (batch, steps, 4 units), or null

  // Returns the gradient of the weights as panels (panels, features, kPanel).
  Scratch Run(int64_t first, int64_t rows) const {
    const int64_t width = sizes.features(), padded = sizes.padded(), wide = sizes.wide();
    const int64_t slots = sizes.steps + 1, panels = sizes.panels();
    const float* features = kept.features + first * slots * width;
    const float* cells = kept.cells + first * slots * padded;
    const float* gates = kept.gates + first * sizes.steps * 4 * padded;
    const int64_t group = std::max<int64_t>(1, kGradientRows / rows), group_rows = group * rows;
    Scratch gradient = Zeros(panels * width * kPanel), d_z = Zeros(panels * group_rows * kPanel);
    Scratch d_c = Zeros(rows * padded), d_h = Zeros(rows * wide), d_h_before = Zeros(rows * wide);
    Scratch mask;
    if (candidate_mask) {
      mask = Zeros(rows * padded);
      Pad(candidate_mask, first, rows, sizes.units, mask.get(), padded);
    }
    Pad(d_final_cells, first, rows, sizes.units, d_c.get(), padded);
    Pad(d_final_hidden, first, rows, sizes.units, d_h.get(), wide);
    for (int64_t step = sizes.steps - 1; step >= 0; --step) {
      // The steps of a group lie in the order of their features.
      const int64_t at = step % group * rows;
      for (int64_t row = 0; row < rows; ++row) {
        if (!d_outputs || !reads(first + row, step)) continue;
        const float* from = d_outputs + ((first + row) * sizes.steps + time(step)) * sizes.units;
        float* to = d_h.get() + row * wide;
        for (int64_t unit = 0; unit < sizes.units; ++unit) to[unit] += from[unit];
      }
      for (int64_t row = 0; row < rows; ++row) {
        StepBack(reads(first + row, step), gates + (step * rows + row) * 4 * padded,
                 cells + (step * rows + row) * padded, cells + ((step + 1) * rows + row) * padded,
                 mask ? mask.get() + row * padded : nullptr, d_h.get() + row * wide,
                 d_c.get() + row * padded, d_z.get() + (at + row) * kPanel, group_rows * kPanel);
        if (d_gates)
          Unpack(d_z.get() + (at + row) * kPanel, group_rows * kPanel, first + row, step);
      }
      for (int64_t to = 0; to < sizes.wide_panels(); ++to)
        for (int64_t panel = 0; panel < panels; ++panel) {
          const ProductTile tile{d_z.get() + (panel * group_rows + at) * kPanel,
                                 kPanel,
                                 1,
                                 packed + (to * 4 * padded + panel * kPanel) * kPanel,
                                 kPanel,
                                 d_h_before.get() + to * kPanel,
                                 wide,
                                 panel > 0};
          RunTiles<kRows>(0, rows, tile);
        }
      for (int64_t row = 0; row < rows; ++row)
        if (!reads(first + row, step))
          std::copy_n(d_h.get() + row * wide, wide, d_h_before.get() + row * wide);
      std::swap(d_h, d_h_before);
      if (step % group == 0) {
        const int64_t count = std::min(group, sizes.steps - step) * rows;
        for (int64_t panel = 0; panel < panels; ++panel) {
          const ProductTile tile{features + step * rows * width,
                                 1,
                                 width,
                                 d_z.get() + panel * group_rows * kPanel,
                                 count,
                                 gradient.get() + panel * width * kPanel,
                                 kPanel,
                                 true};
          RunTiles<kRows>(0, width, tile);
        }
      }
    }
    Unpad(d_c.get(), padded, rows, sizes.units, d_cells, first);
    Unpad(d_h.get(), wide, rows, sizes.units, d_hidden, first);
    return gradient;
  }

  // Gradients of one sequence's gates before their activation, of which panels are `stride` apart,
  // and of its memory before the step.
  void StepBack(bool is_read, const float* gates, const float* cells, const float* new_cells,
                const float* mask, const float* d_h, float* d_c, float* d_z, int64_t stride) const {
    for (int64_t unit = 0; unit < sizes.padded(); unit += kLanes, gates += kPanel, d_z += stride) {
      if (!is_read) {
        std::fill_n(d_z, kPanel, 0.0f);
        continue;
      }
      const Vector i = At(gates), f = At(gates + kLanes);
      const Vector g = At(gates + 2 * kLanes), o = At(gates + 3 * kLanes);
      const Vector tanh_c = Tanh(At(new_cells + unit)), d_hidden = At(d_h + unit);
      const Vector d_cell = At(d_c + unit) + d_hidden * o * (1.0f - tanh_c * tanh_c);
      const Vector kept = mask ? At(mask + unit) : Vector{} + 1.0f;
      At(d_z) = d_cell * kept * g * i * (1.0f - i);
      At(d_z + kLanes) = d_cell * At(cells + unit) * f * (1.0f - f);
      At(d_z + 2 * kLanes) = d_cell * kept * i * (1.0f - g * g);
      At(d_z + 3 * kLanes) = d_hidden * tanh_c * o * (1.0f - o);
      At(d_c + unit) = d_cell * f;
    }
  }

  void Unpack(const float* d_z, int64_t stride, int64_t sequence, int64_t step) const {
    float* to = d_gates + (sequence * sizes.steps + time(step)) * 4 * sizes.units;
    for (int64_t unit = 0; unit < sizes.units; unit += kLanes, d_z += stride)
      for (int gate = 0; gate < 4; ++gate)
        std::copy_n(d_z + gate * kLanes, std::min<int64_t>(kLanes, sizes.units - unit),
                    to + gate * sizes.units + unit);
  }
};

}  // namespace seqvision

#endif  // SEQVISION_BACKWARD_H_
