// The LSTM over all steps of a batch of sequences, forward and backward, as two calls of XLA.
//
// The columns of the weights are packed into panels: kLanes units, and of each the gates i, f, g, o
// beside each other. A tile of kRows sequences and one panel is summed up in registers, where its
// gates are activated too. The gradient of the weights is summed over several steps at a time.
//
// Units are padded to a multiple of kLanes. Weights of padded units are 0.

#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include "backward.h"
#include "call.h"
#include "forward.h"
#include "numbers.h"
#include "vectors.h"
#include "xla/ffi/api/ffi.h"

namespace seqvision {
namespace {

namespace ffi = xla::ffi;

// Calls `run(block, first, rows)` for blocks of the sequences, each in a thread of its own.
template <typename Run>
void InBlocks(int64_t batch, int64_t blocks, const Run& run) {
  std::vector<std::thread> threads;
  for (int64_t block = 1; block < blocks; ++block) {
    const int64_t first = batch * block / blocks, end = batch * (block + 1) / blocks;
    try {
      threads.emplace_back([=, &run] { run(block, first, end - first); });
    } catch (const std::system_error&) {  // There may be no more of them.
      run(block, first, end - first);
    }
  }
  run(0, 0, batch / blocks);
  for (std::thread& thread : threads) thread.join();
}

using Floats = ffi::Buffer<ffi::F32>;
using FloatsOut = ffi::ResultBuffer<ffi::F32>;
using Bools = ffi::Buffer<ffi::PRED>;

template <typename Buffer>
auto DataOrNull(Buffer& buffer) {
  return buffer.element_count() ? buffer.typed_data() : nullptr;
}

Call CallOf(Floats& weights, Floats& cells, Bools& step_mask, Floats& candidate_mask, int64_t steps,
            bool reverse) {
  const int64_t batch = cells.dimensions()[0], units = cells.dimensions()[1];
  const Sizes sizes{batch, steps, weights.dimensions()[0] - 1 - units, units};
  return {sizes, DataOrNull(step_mask), DataOrNull(candidate_mask), reverse};
}

Kept KeptIn(Floats& features, Floats& cells, Floats& gates) {
  return {reinterpret_cast<Word*>(features.typed_data()), cells.typed_data(), gates.typed_data()};
}

template <typename Numbers>
void RunForward(ForwardCall call, const float* weights, int64_t blocks) {
  const Memory<Word> packed = PackForward<Numbers>(call.sizes, weights);
  call.packed = packed.get();
  InBlocks(call.sizes.batch, blocks, [&](int64_t, int64_t first, int64_t rows) {
    ForwardBlock<Numbers>(call, first, rows).Run();
  });
}

ffi::Error Forward(Floats weights, Floats inputs, Floats cells, Floats hidden, Bools step_mask,
                   Floats candidate_mask, int64_t steps, bool reverse, int64_t blocks,
                   bool bfloat16, FloatsOut outputs, FloatsOut final_cells, FloatsOut final_hidden,
                   FloatsOut kept_features, FloatsOut kept_cells, FloatsOut kept_gates) {
  const ForwardCall call{CallOf(weights, cells, step_mask, candidate_mask, steps, reverse),
                         inputs.typed_data(),
                         cells.typed_data(),
                         hidden.typed_data(),
                         nullptr,
                         DataOrNull(*outputs),
                         final_cells->typed_data(),
                         final_hidden->typed_data(),
                         KeptIn(*kept_features, *kept_cells, *kept_gates),
                         kept_gates->element_count() > 0};
#ifdef SEQVISION_BFLOAT16
  if (bfloat16) {
    RunForward<Bfloat16>(call, weights.typed_data(), blocks);
    return ffi::Error::Success();
  }
#endif
  if (bfloat16) return ffi::Error::Internal("no bfloat16 on this processor");
  RunForward<Float32>(call, weights.typed_data(), blocks);
  return ffi::Error::Success();
}

template <typename Numbers>
void RunBackward(BackwardCall call, const float* weights, int64_t blocks, float* d_weights) {
  const Sizes& sizes = call.sizes;
  const Memory<Word> packed = PackBackward<Numbers>(sizes, weights);
  call.packed = packed.get();
  std::vector<Scratch> gradients(blocks);
  InBlocks(sizes.batch, blocks, [&](int64_t block, int64_t first, int64_t rows) {
    gradients[block] = BackwardBlock<Numbers>(call, first, rows).Run();
  });
  float* sum = gradients[0].get();
  for (int64_t block = 1; block < blocks; ++block)
    for (int64_t at = 0; at < sizes.panels() * sizes.features() * kPanel; ++at)
      sum[at] += gradients[block].get()[at];
  for (int64_t row = 0; row < sizes.first_unit() + sizes.units; ++row)
    for (int gate = 0; gate < 4; ++gate)
      for (int64_t unit = 0; unit < sizes.units; ++unit, ++d_weights) {
        const int64_t panel = unit / kLanes, lane = gate * kLanes + unit % kLanes;
        *d_weights = sum[(panel * sizes.features() + row) * kPanel + lane];
      }
}

ffi::Error Backward(Floats weights, Bools step_mask, Floats candidate_mask, Floats kept_features,
                    Floats kept_cells, Floats kept_gates, Floats d_outputs, Floats d_final_cells,
                    Floats d_final_hidden, int64_t steps, bool reverse, int64_t blocks,
                    bool bfloat16, FloatsOut d_weights, FloatsOut d_cells, FloatsOut d_hidden,
                    FloatsOut d_gates) {
  const BackwardCall call{CallOf(weights, d_final_cells, step_mask, candidate_mask, steps, reverse),
                          DataOrNull(d_outputs),
                          d_final_cells.typed_data(),
                          d_final_hidden.typed_data(),
                          nullptr,
                          KeptIn(kept_features, kept_cells, kept_gates),
                          d_cells->typed_data(),
                          d_hidden->typed_data(),
                          DataOrNull(*d_gates)};
#ifdef SEQVISION_BFLOAT16
  if (bfloat16) {
    RunBackward<Bfloat16>(call, weights.typed_data(), blocks, d_weights->typed_data());
    return ffi::Error::Success();
  }
#endif
  if (bfloat16) return ffi::Error::Internal("no bfloat16 on this processor");
  RunBackward<Float32>(call, weights.typed_data(), blocks, d_weights->typed_data());
  return ffi::Error::Success();
}

}  // namespace

// Units are padded to a multiple of this in what is kept.
extern "C" int seqvision_lanes() { return kLanes; }

// Whether the processor multiplies bfloat16.
extern "C" bool seqvision_has_bfloat16() {
#ifdef SEQVISION_BFLOAT16
  return true;
#else
  return false;
#endif
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(seqvision_lstm_forward, Forward,
                              ffi::Ffi::Bind()
                                  .Arg<Floats>()  // weights (D + 1 + H, 4H)
                                  .Arg<Floats>()  // inputs (B, T, D)
                                  .Arg<Floats>()  // cells (B, H)
                                  .Arg<Floats>()  // hidden (B, H)
                                  .Arg<Bools>()   // step_mask (B, T) or (0, 0)
                                  .Arg<Floats>()  // candidate_mask (B, H) or (0, 0)
                                  .Attr<int64_t>("steps")
                                  .Attr<bool>("reverse")
                                  .Attr<int64_t>("blocks")
                                  .Attr<bool>("bfloat16")
                                  .Ret<Floats>()    // outputs (B, T, H), or (0,)
                                  .Ret<Floats>()    // final cells (B, H)
                                  .Ret<Floats>()    // final hidden (B, H)
                                  .Ret<Floats>()    // kept features, or (0,)
                                  .Ret<Floats>()    // kept cells, or (0,)
                                  .Ret<Floats>());  // kept gates, or (0,)

XLA_FFI_DEFINE_HANDLER_SYMBOL(seqvision_lstm_backward, Backward,
                              ffi::Ffi::Bind()
                                  .Arg<Floats>()  // weights (D + 1 + H, 4H)
                                  .Arg<Bools>()   // step_mask (B, T) or (0, 0)
                                  .Arg<Floats>()  // candidate_mask (B, H) or (0, 0)
                                  .Arg<Floats>()  // kept features
                                  .Arg<Floats>()  // kept cells
                                  .Arg<Floats>()  // kept gates
                                  .Arg<Floats>()  // d_outputs (B, T, H) or (0,)
                                  .Arg<Floats>()  // d_final_cells (B, H)
                                  .Arg<Floats>()  // d_final_hidden (B, H)
                                  .Attr<int64_t>("steps")
                                  .Attr<bool>("reverse")
                                  .Attr<int64_t>("blocks")
                                  .Attr<bool>("bfloat16")
                                  .Ret<Floats>()    // d_weights (D + 1 + H, 4H)
                                  .Ret<Floats>()    // d_cells (B, H)
                                  .Ret<Floats>()    // d_hidden (B, H)
                                  .Ret<Floats>());  // d_gates (B, T, 4H), or (0,)

}  // namespace seqvision
