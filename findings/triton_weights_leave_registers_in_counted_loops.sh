#!/usr/bin/env bash
# triton 3.6.0, compiled for an A100: a matrix that is loaded once before a `for` over a range, and multiplied in each
# round, is loaded again from shared memory in every round; in a `while` over the same rounds it stays in registers.
#
# In a recurrent kernel these are the weights, and each product then waits for its own load.
# Seen: of the loop's ldmatrix instructions 8 in the `for` (4 of the weights, 4 of h) and 4 in the `while`, for 8 products.
# No GPU is needed: the kernel is compiled, not run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet triton==3.6.0
cat > "$folder/recurrence.py" <<'PYTHON'
import re

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def recurrence(w_ptr, h_ptr, num_steps, COUNTED: tl.constexpr):
    unit = tl.arange(0, 64)
    column = tl.arange(0, 16)
    weights = tl.load(w_ptr + unit[:, None] * 64 + unit[None, :])
    at = h_ptr + unit[:, None] * 16 + column[None, :]
    h = tl.load(at)
    if COUNTED:
        for _ in range(num_steps):
            h = (tl.dot(weights, h) * 0.5).to(tl.float16)
    else:
        step = 0
        while step < num_steps:
            h = (tl.dot(weights, h) * 0.5).to(tl.float16)
            step += 1
    tl.store(at, h)


def in_loop(counted):
    """How many loads from shared memory and products of the tensor cores a round has."""
    source = ASTSource(
        fn=recurrence,
        signature={"w_ptr": "*fp16", "h_ptr": "*fp16", "num_steps": "i32", "COUNTED": "constexpr"},
        constexprs={"COUNTED": counted},
    )
    target = GPUTarget("cuda", 80, 32)
    ptx = triton.compile(source, target=target, options={"num_warps": 4}).asm["ptx"]
    labels = {label.group(1): label.start() for label in re.finditer(r"^(\$L__BB\w+):", ptx, re.M)}
    for jump in re.finditer(r"bra(?:\.uni)?\s+(\$L__BB\w+);", ptx):
        start = labels[jump.group(1)]
        if start < jump.start():
            body = ptx[start : jump.start()]
            return body.count("ldmatrix"), body.count("mma.sync")
    raise SystemExit("no loop was found: changed")


for name, counted, expected in (("for", True, (8, 8)), ("while", False, (4, 8))):
    found = in_loop(counted)
    print(f"{name}: {found[0]} loads from shared memory, {found[1]} products in a round")
    assert found == expected, "changed"
PYTHON
HOME="$folder" TRITON_CACHE_DIR="$folder/cache" "$folder/venv/bin/python" "$folder/recurrence.py"
