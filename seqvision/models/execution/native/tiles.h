// Products of rows with one panel of columns, a tile of rows at a time, summed up in registers.
#ifndef SEQVISION_TILES_H_
#define SEQVISION_TILES_H_

#include <cstdint>

#include "numbers.h"
#include "vectors.h"

namespace seqvision {

// Rows of words.
struct Rows {
  const Word* words;
  int64_t stride, depth_stride;
};

// sums += rows (kCount, depth) @ panel (depth, kPanel), from row `first` on; depth in words.
template <typename Numbers, int kCount>
inline void Multiply(const Rows& rows, int64_t first, const Word* panel, int64_t depth,
                     Vector (&sums)[kCount][4]) {
  const Word* left = rows.words + first * rows.stride;
  for (int64_t k = 0; k < depth; ++k, left += rows.depth_stride, panel += kPanel) {
#pragma GCC unroll 4
    for (int gate = 0; gate < 4; ++gate) {
#pragma GCC unroll 6
      for (int row = 0; row < kCount; ++row)
        sums[row][gate] =
            Numbers::MultiplyAdd(left[row * rows.stride], panel + gate * kLanes, sums[row][gate]);
    }
  }
}

// Calls `tile.Run<count>(first row)` for all rows, kCount at a time and then what is left.
template <int kCount, typename Tile>
void RunTiles(int64_t row, int64_t rows, const Tile& tile) {
  for (; row + kCount <= rows; row += kCount) tile.template Run<kCount>(row);
  if constexpr (kCount > 1) {
    if (row < rows) RunTiles<kCount - 1>(row, rows, tile);
  }
}

// Where a product goes: rows (rows, kPanel), to which it is added or not.
struct Target {
  float* values;
  int64_t stride;
  bool adds;
};

// A product may be a sum of several: of rows `stride` words apart, and of panels one after another.
struct Parts {
  int64_t count = 1, stride = 0;
};

// target = rows @ panel (depth, kPanel).
template <typename Numbers>
struct ProductTile {
  Rows rows;
  const Word* panel;
  int64_t depth;
  Target target;
  Parts parts;

  template <int kCount>
  void Run(int64_t first) const {
    Vector sums[kCount][4] = {};
    for (int64_t part = 0; part < parts.count; ++part) {
      const Rows of_part{rows.words + part * parts.stride, rows.stride, rows.depth_stride};
      Multiply<Numbers, kCount>(of_part, first, panel + part * depth * kPanel, depth, sums);
    }
    for (int row = 0; row < kCount; ++row)
      for (int j = 0; j < 4; ++j) {
        // Added only now: one long sum of all steps would lose digits.
        float* to = target.values + (first + row) * target.stride + j * kLanes;
        Write(target.adds ? Load(to) + sums[row][j] : sums[row][j], to);
      }
  }
};

}  // namespace seqvision

#endif  // SEQVISION_TILES_H_
