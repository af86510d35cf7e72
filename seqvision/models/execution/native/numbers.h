// The numbers that are multiplied: float32, or bfloat16 in pairs, where the processor has them.
//
// Both lie in words of four bytes. The matrices of a product have their words along the depth, so
// that each step of a product takes one word of a row and one of each column.
#ifndef SEQVISION_NUMBERS_H_
#define SEQVISION_NUMBERS_H_

#include <cstdint>
#include <cstring>

#include "vectors.h"

#if defined(__AVX512BF16__) && defined(__AVX512F__)
#include <immintrin.h>
#define SEQVISION_BFLOAT16
#endif

namespace seqvision {

using Word = uint32_t;

struct Float32 {
  static constexpr int kInWord = 1;

  static Vector MultiplyAdd(Word row, const Word* columns, Vector sum) {
    float factor;
    std::memcpy(&factor, &row, sizeof(factor));
    return sum + factor * Load(reinterpret_cast<const float*>(columns));
  }
  static void Store(float value, Word* words, int64_t index) {
    std::memcpy(words + index, &value, sizeof(value));
  }
  static void Store(Vector values, Word* words, int64_t index) {
    Write(values, reinterpret_cast<float*>(words) + index);
  }
  // A row of a matrix with its words along the rows.
  static void StoreRows(const Vector (&rows)[1], Word* words) { Store(rows[0], words, 0); }
};

#ifdef SEQVISION_BFLOAT16
struct Bfloat16 {
  static constexpr int kInWord = 2;

  static Vector MultiplyAdd(Word row, const Word* columns, Vector sum) {
    const __m512i factor = _mm512_set1_epi32(row), weights = _mm512_loadu_si512(columns);
    return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)factor, (__m512bh)weights);
  }
  static void Store(float value, Word* words, int64_t index) {
    const __m128bh rounded = _mm_cvtneps_pbh(_mm_set_ss(value));
    std::memcpy(reinterpret_cast<char*>(words) + 2 * index, &rounded, 2);
  }
  static void Store(Vector values, Word* words, int64_t index) {
    const __m256bh rounded = _mm512_cvtneps_pbh((__m512)values);
    std::memcpy(reinterpret_cast<char*>(words) + 2 * index, &rounded, 32);
  }
  // Two rows of a matrix with its words along the rows.
  static void StoreRows(const Vector (&rows)[2], Word* words) {
    __m512i halves[2];
    for (int row = 0; row < 2; ++row)
      halves[row] = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)rows[row]));
    _mm512_storeu_si512(words, _mm512_or_si512(halves[0], _mm512_slli_epi32(halves[1], 16)));
  }
};
#endif

// Words that hold so many numbers.
template <typename Numbers>
constexpr int64_t Words(int64_t numbers) {
  return (numbers + Numbers::kInWord - 1) / Numbers::kInWord;
}

// Memory for what `Transposed` makes.
template <typename Numbers>
Memory<Word> TransposedMemory(int64_t count, int64_t numbers) {
  return Room<Word>(Numbers::kInWord == 1 ? 0 : Words<Numbers>(count) * numbers);
}

// Rows (count, Words(numbers)) as a matrix with its words along the rows, (Words(count), numbers).
// Nothing has to move where a word is one number.
template <typename Numbers>
const Word* Transposed(const Word* rows, int64_t count, int64_t numbers, Word* to) {
  if constexpr (Numbers::kInWord == 1) return rows;
  typedef uint16_t Half __attribute__((may_alias));
  const int64_t stride = 2 * Words<Numbers>(numbers);
  const Half* from = reinterpret_cast<const Half*>(rows);
  for (int64_t row = 0; row < count; row += 2, from += 2 * stride, to += numbers) {
    const bool is_pair = row + 1 < count;
    for (int64_t k = 0; k < numbers; ++k)
      to[k] = from[k] | (is_pair ? static_cast<Word>(from[stride + k]) << 16 : 0);
  }
  return to - Words<Numbers>(count) * numbers;
}

}  // namespace seqvision

#endif  // SEQVISION_NUMBERS_H_
