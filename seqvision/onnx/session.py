"""ONNX graphs run by onnxruntime."""

import onnxruntime


def load(content: bytes, num_threads: int = 0) -> onnxruntime.InferenceSession:
    """A graph, ready to run.

    Args:
      content: a file of ONNX.
      num_threads: how many threads compute one operator; 0 is one for each core.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # Of warnings about its own optimizations.
    options.intra_op_num_threads = num_threads
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
