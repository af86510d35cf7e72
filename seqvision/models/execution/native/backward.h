// The gradients of the LSTM over all steps.
#ifndef SEQVISION_BACKWARD_H_
#define SEQVISION_BACKWARD_H_

#include <algorithm>
#include <cstdint>
#include <utility>

#include "call.h"
#include "tiles.h"
#include "vectors.h"

namespace seqvision {

// Rows of the products that sum up the gradient of the weights: so many stay in the cache.
constexpr int64_t kGradientRows = 256;

// The recurrent weights, transposed, as panels (wide_panels, panels, Words(kPanel), kPanel).
template <typename Numbers>
Memory<Word> PackBackward(const Sizes& sizes, const float* weights) {
  constexpr int64_t kGateWords = Words<Numbers>(kLanes);
  const int64_t units = sizes.units, block = 4 * kGateWords * kPanel;
  Memory<Word> packed = Zeros<Word>(sizes.wide_panels() * sizes.panels() * block);
  weights += sizes.first_unit() * 4 * units;
  for (int64_t to = 0; to < units; ++to)
    for (int gate = 0; gate < 4; ++gate, weights += units)
      for (int64_t panel = 0; panel < sizes.panels(); ++panel) {
        Word words[kGateWords];
        const int64_t first = panel * kLanes;
        Numbers::Store(LoadSome(weights + first, units - first), words, 0);
        Word* column = packed.get() + (to / kPanel * sizes.panels() + panel) * block + to % kPanel;
        for (int64_t k = 0; k < kGateWords; ++k)
          column[(gate * kGateWords + k) * kPanel] = words[k];
      }
  return packed;
}

struct BackwardCall : Call {
  const float* d_outputs;  // (batch, steps, units), or null
  const float *d_final_cells, *d_final_hidden;
  const Word* packed;
  Kept kept;
  float *d_cells, *d_hidden;
  float* d_gates;  // (batch, steps, 4 units), or null
};

// The way back of some sequences of a call, step by step. "z" are the gates before activation.
template <typename Numbers>
class BackwardBlock {
 public:
  BackwardBlock(const BackwardCall& call, int64_t first, int64_t rows)
      : call_(call),
        sizes_(call.sizes),
        first_(first),
        rows_(rows),
        group_(std::max<int64_t>(1, kGradientRows / std::max<int64_t>(1, rows))),
        features_(call.kept.features + first * sizes_.steps * Words<Numbers>(sizes_.features())),
        cells_(call.kept.cells + first * (sizes_.steps + 1) * sizes_.padded()),
        gates_(call.kept.gates + first * sizes_.steps * 4 * sizes_.padded()),
        gradient_(Zeros(sizes_.panels() * sizes_.features() * kPanel)),
        d_z_(Room<Word>(sizes_.panels() * PanelStride())),
        transposed_d_z_(TransposedMemory<Numbers>(group_ * rows, kPanel)),
        transposed_features_(TransposedMemory<Numbers>(group_ * rows, sizes_.features())),
        d_c_(Padded(call.d_final_cells, sizes_.padded())),
        d_h_(Padded(call.d_final_hidden, sizes_.wide())),
        d_h_before_(Room(rows * sizes_.wide())),
        mask_(call.candidate_mask ? Padded(call.candidate_mask, sizes_.padded()) : nullptr) {}

  // Writes the gradients of the first memory; returns that of the weights as panels (panels,
  // features, kPanel).
  Scratch Run() {
    for (int64_t step = sizes_.steps - 1; step >= 0; --step) {
      if (call_.d_outputs) AddOutputs(step);
      for (int64_t row = 0; row < rows_; ++row) GatesBack(step, row);
      HiddenBack(step);
      if (step % group_ == 0) AddToGradient(step);
    }
    Unpad(d_c_.get(), sizes_.padded(), rows_, sizes_.units, call_.d_cells, first_);
    Unpad(d_h_.get(), sizes_.wide(), rows_, sizes_.units, call_.d_hidden, first_);
    return std::move(gradient_);
  }

 private:
  static constexpr int64_t kPanelWords = Words<Numbers>(kPanel);

  Scratch Padded(const float* from, int64_t stride) const {
    Scratch padded = Zeros(rows_ * stride);
    Pad(from, first_, rows_, sizes_.units, padded.get(), stride);
    return padded;
  }

  bool Reads(int64_t row, int64_t step) const { return call_.reads(first_ + row, step); }

  // The steps of a group lie in each panel of d_z in the order of their features.
  int64_t PanelStride() const { return group_ * rows_ * kPanelWords; }
  Word* DZ(int64_t step) const { return d_z_.get() + step % group_ * rows_ * kPanelWords; }

  void AddOutputs(int64_t step) {
    for (int64_t row = 0; row < rows_; ++row) {
      if (!Reads(row, step)) continue;
      const float* from = call_.d_outputs + call_.at(first_ + row, step) * sizes_.units;
      float* to = d_h_.get() + row * sizes_.wide();
      for (int64_t unit = 0; unit < sizes_.units; ++unit) to[unit] += from[unit];
    }
  }

  // The gradients of one sequence's z, and of its cells before the step.
  void GatesBack(int64_t step, int64_t row) {
    const int64_t padded = sizes_.padded(), at = (step * rows_ + row) * padded;
    const float *gates = gates_ + 4 * at, *cells = cells_ + at, *new_cells = cells + rows_ * padded;
    const float* d_h = d_h_.get() + row * sizes_.wide();
    float* d_c = d_c_.get() + row * padded;
    Word* words = DZ(step) + row * kPanelWords;
    for (int64_t unit = 0; unit < padded; unit += kLanes, gates += kPanel, words += PanelStride()) {
      Vector d_z[4] = {};
      if (Reads(row, step)) {
        const Vector i = Load(gates), f = Load(gates + kLanes);
        const Vector g = Load(gates + 2 * kLanes), o = Load(gates + 3 * kLanes);
        const Vector tanh_c = Tanh(Load(new_cells + unit)), d_hidden = Load(d_h + unit);
        const Vector d_cell = Load(d_c + unit) + d_hidden * o * (1.0f - tanh_c * tanh_c);
        const Vector d_written = mask_ ? d_cell * Load(mask_.get() + row * padded + unit) : d_cell;
        d_z[0] = d_written * g * i * (1.0f - i);
        d_z[1] = d_cell * Load(cells + unit) * f * (1.0f - f);
        d_z[2] = d_written * i * (1.0f - g * g);
        d_z[3] = d_hidden * tanh_c * o * (1.0f - o);
        Write(d_cell * f, d_c + unit);
      }
      // Padded units may be NaN, where an input is infinite.
      for (int64_t lane = sizes_.units - unit; lane < kLanes; ++lane)
        for (Vector& gate : d_z) gate[lane] = 0.0f;
      for (int gate = 0; gate < 4; ++gate) Numbers::Store(d_z[gate], words, gate * kLanes);
      if (call_.d_gates) CopyGates(d_z, step, row, unit);
    }
  }

  void CopyGates(const Vector (&d_z)[4], int64_t step, int64_t row, int64_t unit) const {
    float* to = call_.d_gates + call_.at(first_ + row, step) * 4 * sizes_.units + unit;
    for (int gate = 0; gate < 4; ++gate)
      std::copy_n(reinterpret_cast<const float*>(&d_z[gate]),
                  std::min<int64_t>(kLanes, sizes_.units - unit), to + gate * sizes_.units);
  }

  // The gradient of the hidden state before the step.
  void HiddenBack(int64_t step) {
    const int64_t wide = sizes_.wide(), panels = sizes_.panels();
    const Rows d_z{DZ(step), kPanelWords, 1};
    const Word* weights = call_.packed;
    for (int64_t to = 0; to < wide; to += kPanel, weights += panels * kPanelWords * kPanel) {
      const Target target{d_h_before_.get() + to, wide, /*adds=*/false};
      const Parts parts{panels, PanelStride()};
      RunTiles<kRows>(0, rows_, ProductTile<Numbers>{d_z, weights, kPanelWords, target, parts});
    }
    for (int64_t row = 0; row < rows_; ++row)
      if (!Reads(row, step))
        std::copy_n(d_h_.get() + row * wide, wide, d_h_before_.get() + row * wide);
    std::swap(d_h_, d_h_before_);
  }

  // For all steps of the group that begins with this one.
  void AddToGradient(int64_t step) {
    const int64_t width = sizes_.features();
    const int64_t count = std::min(group_, sizes_.steps - step) * rows_;
    const Word* features = features_ + step * rows_ * Words<Numbers>(width);
    const Rows rows{Transposed<Numbers>(features, count, width, transposed_features_.get()), 1,
                    width};
    for (int64_t panel = 0; panel < sizes_.panels(); ++panel) {
      const Word* d_z = Transposed<Numbers>(d_z_.get() + panel * PanelStride(), count, kPanel,
                                            transposed_d_z_.get());
      const Target target{gradient_.get() + panel * width * kPanel, kPanel, /*adds=*/true};
      RunTiles<kRows>(0, width, ProductTile<Numbers>{rows, d_z, Words<Numbers>(count), target});
    }
  }

  const BackwardCall& call_;
  const Sizes& sizes_;
  const int64_t first_, rows_, group_;
  const Word* const features_;
  const float *const cells_, *const gates_;
  Scratch gradient_;
  const Memory<Word> d_z_, transposed_d_z_, transposed_features_;
  Scratch d_c_, d_h_, d_h_before_;
  const Scratch mask_;
};

}  // namespace seqvision

#endif  // SEQVISION_BACKWARD_H_
