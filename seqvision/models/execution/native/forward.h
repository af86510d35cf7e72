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

// The weights (inputs + 1 + units, 4 units) as panels (panels, features,
// kPanel).
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
    Multiply<kCount>(Rows{features, width, 1}, row, panel, width, sums);
    for (int r = 0; r < kCount; ++r) {
      const int64_t at = row + r;
      // The weights of i, f and o are halved: sigmoid(z) = (1 + tanh(z / 2))
      // / 2.
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
  Kept kept;
  bool keeps;
};

// Some sequences of a call, step by step. Without a place to keep things, two
// steps take turns.
class ForwardBlock {
 public:
  ForwardBlock(const ForwardCall& call, int64_t first, int64_t rows)
      : call_(call),
        sizes_(call.sizes),
        first_(first),
        rows_(rows),
        slots_(call.keeps ? sizes_.steps + 1 : 2) {
    const int64_t width = sizes_.features(), padded = sizes_.padded();
    if (call.keeps) {
      features_ = call.kept.features + first * slots_ * width;
      cells_ = call.kept.cells + first * slots_ * padded;
      gates_ = call.kept.gates + first * sizes_.steps * 4 * padded;
      std::memset(features_, 0, rows * width * sizeof(float));
      std::memset(cells_, 0, rows * padded * sizeof(float));
    } else {
      own_features_ = Zeros(rows * slots_ * width);
      own_cells_ = Zeros(rows * slots_ * padded);
      own_gates_ = Zeros(rows * 4 * padded);
      features_ = own_features_.get(), cells_ = own_cells_.get(), gates_ = own_gates_.get();
    }
    if (call.candidate_mask) {
      mask_ = Zeros(rows * padded);
      Pad(call.candidate_mask, first, rows, sizes_.units, mask_.get(), padded);
    }
    Pad(call.cells, first, rows, sizes_.units, cells_, padded);
    Pad(call.hidden, first, rows, sizes_.units, Hidden(0, 0), width);
  }

  void Run() {
    for (int64_t step = 0; step < sizes_.steps; ++step) {
      for (int64_t row = 0; row < rows_; ++row) ReadInputs(step, row);
      for (int64_t panel = 0; panel < sizes_.panels(); ++panel) Step(step, panel * kLanes);
      for (int64_t row = 0; row < rows_; ++row) WriteOutputs(step, row);
    }
    Unpad(Cells(sizes_.steps, 0), sizes_.padded(), rows_, sizes_.units, call_.final_cells, first_);
    Unpad(Hidden(sizes_.steps, 0), sizes_.features(), rows_, sizes_.units, call_.final_hidden,
          first_);
  }

 private:
  // What a step starts with.
  float* Features(int64_t step, int64_t row) const {
    return features_ + (step % slots_ * rows_ + row) * sizes_.features();
  }
  float* Hidden(int64_t step, int64_t row) const {
    return Features(step, row) + sizes_.first_unit();
  }
  float* Cells(int64_t step, int64_t row) const {
    return cells_ + (step % slots_ * rows_ + row) * sizes_.padded();
  }

  void ReadInputs(int64_t step, int64_t row) const {
    float* features = Features(step, row);
    std::copy_n(call_.inputs + call_.at(first_ + row, step) * sizes_.inputs, sizes_.inputs,
                features);
    features[sizes_.inputs] = 1.0f;
  }

  void Step(int64_t step, int64_t unit) const {
    const StepTile tile{sizes_,
                        Features(step, 0),
                        call_.packed + 4 * unit * sizes_.features(),
                        Cells(step, 0) + unit,
                        mask_ ? mask_.get() + unit : nullptr,
                        Hidden(step + 1, 0) + unit,
                        Cells(step + 1, 0) + unit,
                        gates_ + 4 * ((call_.keeps ? step : 0) * rows_ * sizes_.padded() + unit)};
    RunTiles<kRows>(0, rows_, tile);
  }

  void WriteOutputs(int64_t step, int64_t row) const {
    float* output = call_.outputs + call_.at(first_ + row, step) * sizes_.units;
    if (call_.reads(first_ + row, step)) {
      std::copy_n(Hidden(step + 1, row), sizes_.units, output);
      return;
    }
    std::fill_n(output, sizes_.units, 0.0f);
    std::copy_n(Hidden(step, row), sizes_.padded(), Hidden(step + 1, row));
    std::copy_n(Cells(step, row), sizes_.padded(), Cells(step + 1, row));
  }

  const ForwardCall& call_;
  const Sizes& sizes_;
  const int64_t first_, rows_, slots_;
  Scratch own_features_, own_cells_, own_gates_, mask_;
  float *features_, *cells_, *gates_;
};

}  // namespace seqvision

#endif  // SEQVISION_FORWARD_H_
