// The LSTM over all steps.
#ifndef SEQVISION_FORWARD_H_
#define SEQVISION_FORWARD_H_

#include <algorithm>
#include <cstdint>
#include <utility>

#include "call.h"
#include "tiles.h"
#include "vectors.h"

namespace seqvision {

// The weights (inputs + 1 + units, 4 units) as panels (panels, Words(features), kPanel).
template <typename Numbers>
Memory<Word> PackForward(const Sizes& sizes, const float* weights) {
  constexpr int kInWord = Numbers::kInWord;
  const int64_t units = sizes.units, depth = Words<Numbers>(sizes.features());
  Memory<Word> packed = Room<Word>(sizes.panels() * depth * kPanel);
  for (int64_t k = 0; k < depth; ++k)
    for (int gate = 0; gate < 4; ++gate)
      for (int64_t panel = 0; panel < sizes.panels(); ++panel) {
        Vector rows[kInWord] = {};
        for (int row = 0; row < kInWord && k * kInWord + row < sizes.first_unit() + units; ++row) {
          const float* from = weights + (4 * (k * kInWord + row) + gate) * units + panel * kLanes;
          rows[row] = (gate == 2 ? 1.0f : 0.5f) * LoadSome(from, units - panel * kLanes);
        }
        Numbers::StoreRows(rows, packed.get() + (panel * depth + k) * kPanel + gate * kLanes);
      }
  return packed;
}

// One step of the sequences for the units of one panel.
template <typename Numbers>
struct StepTile {
  Rows features;
  const Word* panel;
  int64_t depth, padded;
  const float *cells, *candidate_mask;
  float *new_hidden, *new_cells;
  float* gates;  // Or null.

  template <int kCount>
  void Run(int64_t first) const {
    Vector sums[kCount][4] = {};
    Multiply<Numbers, kCount>(features, first, panel, depth, sums);
    for (int row = 0; row < kCount; ++row) {
      const int64_t at = (first + row) * padded;
      // The weights of i, f and o are halved: sigmoid(z) = (1 + tanh(z / 2)) / 2.
      const Vector i = 0.5f * Tanh(sums[row][0]) + 0.5f, f = 0.5f * Tanh(sums[row][1]) + 0.5f;
      const Vector g = Tanh(sums[row][2]), o = 0.5f * Tanh(sums[row][3]) + 0.5f;
      const Vector written = candidate_mask ? g * Load(candidate_mask + at) : g;
      const Vector c = f * Load(cells + at) + i * written;
      Write(c, new_cells + at);
      Write(o * Tanh(c), new_hidden + at);
      if (!gates) continue;
      float* kept = gates + 4 * at;
      Write(i, kept);
      Write(f, kept + kLanes);
      Write(g, kept + 2 * kLanes);
      Write(o, kept + 3 * kLanes);
    }
  }
};

struct ForwardCall : Call {
  const float *inputs, *cells, *hidden;
  const Word* packed;
  float *outputs, *final_cells, *final_hidden;  // The outputs may be null.
  Kept kept;
  bool keeps;
};

// Some sequences of a call, step by step. What is not kept is written over by the next step.
template <typename Numbers>
class ForwardBlock {
 public:
  ForwardBlock(const ForwardCall& call, int64_t first, int64_t rows)
      : call_(call),
        sizes_(call.sizes),
        first_(first),
        rows_(rows),
        depth_(Words<Numbers>(sizes_.features())),
        hidden_(Zeros(rows * sizes_.padded())),
        new_hidden_(Room(rows * sizes_.padded())) {
    const int64_t padded = sizes_.padded();
    if (call.keeps) {
      features_ = call.kept.features + first * sizes_.steps * depth_;
      cells_ = call.kept.cells + first * (sizes_.steps + 1) * padded;
      gates_ = call.kept.gates + first * sizes_.steps * 4 * padded;
      std::fill_n(cells_, rows * padded, 0.0f);
    } else {
      own_features_ = Room<Word>(rows * depth_);
      own_cells_ = Zeros(2 * rows * padded);
      features_ = own_features_.get(), cells_ = own_cells_.get(), gates_ = nullptr;
    }
    if (call.candidate_mask) {
      mask_ = Zeros(rows * padded);
      Pad(call.candidate_mask, first, rows, sizes_.units, mask_.get(), padded);
    }
    Pad(call.cells, first, rows, sizes_.units, cells_, padded);
    Pad(call.hidden, first, rows, sizes_.units, hidden_.get(), padded);
  }

  void Run() {
    for (int64_t step = 0; step < sizes_.steps; ++step) {
      for (int64_t row = 0; row < rows_; ++row) ReadFeatures(step, row);
      for (int64_t panel = 0; panel < sizes_.panels(); ++panel) Step(step, panel);
      std::swap(hidden_, new_hidden_);
      for (int64_t row = 0; row < rows_; ++row) WriteOutputs(step, row);
    }
    Unpad(Cells(sizes_.steps), sizes_.padded(), rows_, sizes_.units, call_.final_cells, first_);
    Unpad(hidden_.get(), sizes_.padded(), rows_, sizes_.units, call_.final_hidden, first_);
  }

 private:
  // What a step starts with.
  Word* Features(int64_t step) const {
    return features_ + (call_.keeps ? step : 0) * rows_ * depth_;
  }
  float* Cells(int64_t step) const {
    return cells_ + (call_.keeps ? step : step % 2) * rows_ * sizes_.padded();
  }

  void ReadFeatures(int64_t step, int64_t row) const {
    Word* features = Features(step) + row * depth_;
    features[depth_ - 1] = 0;  // There may be half a word left.
    const float* from = call_.inputs + call_.at(first_ + row, step) * sizes_.inputs;
    for (int64_t k = 0; k < sizes_.inputs; ++k) Numbers::Store(from[k], features, k);
    Numbers::Store(1.0f, features, sizes_.inputs);
    const float* hidden = hidden_.get() + row * sizes_.padded();
    for (int64_t unit = 0; unit < sizes_.padded(); unit += kLanes)
      Numbers::Store(Load(hidden + unit), features, sizes_.first_unit() + unit);
  }

  void Step(int64_t step, int64_t panel) const {
    const int64_t unit = panel * kLanes, padded = sizes_.padded();
    const StepTile<Numbers> tile{{Features(step), depth_, 1},
                                 call_.packed + panel * depth_ * kPanel,
                                 depth_,
                                 padded,
                                 Cells(step) + unit,
                                 mask_ ? mask_.get() + unit : nullptr,
                                 new_hidden_.get() + unit,
                                 Cells(step + 1) + unit,
                                 gates_ ? gates_ + 4 * (step * rows_ * padded + unit) : nullptr};
    RunTiles<kRows>(0, rows_, tile);
  }

  // Where a step is not read, the memory stays.
  void WriteOutputs(int64_t step, int64_t row) const {
    const int64_t at = row * sizes_.padded();
    // Padded units are NaN where an input is infinite; none may enter the next product.
    std::fill(hidden_.get() + at + sizes_.units, hidden_.get() + at + sizes_.padded(), 0.0f);
    const bool reads = call_.reads(first_ + row, step);
    if (call_.outputs) {
      float* output = call_.outputs + call_.at(first_ + row, step) * sizes_.units;
      std::copy_n(hidden_.get() + at, sizes_.units, output);
      if (!reads) std::fill_n(output, sizes_.units, 0.0f);
    }
    if (reads) return;
    std::copy_n(new_hidden_.get() + at, sizes_.padded(), hidden_.get() + at);
    std::copy_n(Cells(step) + at, sizes_.padded(), Cells(step + 1) + at);
  }

  const ForwardCall& call_;
  const Sizes& sizes_;
  const int64_t first_, rows_, depth_;
  Memory<Word> own_features_;
  Scratch own_cells_, mask_, hidden_, new_hidden_;
  Word* features_;
  float *cells_, *gates_;
};

}  // namespace seqvision

#endif  // SEQVISION_FORWARD_H_
