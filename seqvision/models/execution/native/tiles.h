// Products of a few rows with one panel, summed up in registers.
#ifndef SEQVISION_TILES_H_
#define SEQVISION_TILES_H_

#include <cstdint>

#include "vectors.h"

namespace seqvision {

// rows (kept in registers) += left (rows, depth) @ panel (depth, kPanel).
template <int kCount>
inline void Multiply(const float* left, int64_t row_stride, int64_t depth_stride,
                     const float* panel, int64_t depth, Vector (&sums)[kCount][4]) {
  for (int64_t k = 0; k < depth; ++k, panel += kPanel) {
    const Vector i = At(panel), f = At(panel + kLanes);
    const Vector g = At(panel + 2 * kLanes), o = At(panel + 3 * kLanes);
#pragma GCC unroll 6
    for (int row = 0; row < kCount; ++row) {
      const Vector factor = Vector{} + left[row * row_stride + k * depth_stride];
      sums[row][0] += factor * i;
      sums[row][1] += factor * f;
      sums[row][2] += factor * g;
      sums[row][3] += factor * o;
    }
  }
}

// Calls `tile.Run<count>(first row)` for all rows, kRows at a time and then what is left.
template <int kCount, typename Tile>
void RunTiles(int64_t row, int64_t rows, const Tile& tile) {
  for (; row + kCount <= rows; row += kCount) tile.template Run<kCount>(row);
  if constexpr (kCount > 1) {
    if (row < rows) RunTiles<kCount - 1>(row, rows, tile);
  }
}

// target (rows, kPanel) += left (rows, depth) @ panel (depth, kPanel), or = of it.
struct ProductTile {
  const float* left;
  int64_t row_stride, depth_stride;
  const float* panel;
  int64_t depth;
  float* target;
  int64_t target_stride;
  bool adds;

  template <int kCount>
  void Run(int64_t row) const {
    Vector sums[kCount][4] = {};
    float* to = target + row * target_stride;
    if (adds) {
      for (int r = 0; r < kCount; ++r)
        for (int j = 0; j < 4; ++j) sums[r][j] = At(to + r * target_stride + j * kLanes);
    }
    Multiply<kCount>(left + row * row_stride, row_stride, depth_stride, panel, depth, sums);
    for (int r = 0; r < kCount; ++r)
      for (int j = 0; j < 4; ++j) At(to + r * target_stride + j * kLanes) = sums[r][j];
  }
};

}  // namespace seqvision

#endif  // SEQVISION_TILES_H_
