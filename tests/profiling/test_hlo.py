"""Operations of a compiled program."""

from seqvision.profiling.hlo import (
    COLLECTIVES,
    ELEMENTWISE,
    LOOPS,
    MOVEMENT,
    PRODUCTS,
    operation_by_name,
    read_operations,
)

HLO = """
%fused (p: f32[2,2]) -> f32[2,2] {
  %p = f32[2,2]{1,0} parameter(0)
  ROOT %inner = f32[2,2]{1,0} dot(%p, %p), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%moved (p.1: f32[2,2]) -> f32[2,2] {
  %p.1 = f32[2,2]{1,0} parameter(0)
  ROOT %t.1 = f32[2,2]{0,1} transpose(%p.1), dimensions={1,0}
}

ENTRY %main (x: f32[2,2]) -> (f32[2,2], s32[]) {
  %x = f32[2,2]{1,0} parameter(0)
  %a_fusion = f32[2,2]{1,0} fusion(%x), kind=kCustom, calls=%fused, METADATA
  %b_fusion.2 = f32[2,2]{0,1} fusion(%x), kind=kLoop, calls=%moved
  %gemm.3 = (f32[2,2]{1,0}, /*index=1*/s8[4]{0}) custom-call(%x), custom_call_target="__cublas$gemm"
  %tanh.1 = f32[2,2]{1,0} tanh(%x), metadata={op_name="jit(f)/jvp(Net)/tanh"}
  %sum = f32[2,2]{1,0} all-reduce-start(%x), to_apply=%add
  ROOT %loop.1 = (f32[2,2]{1,0}, s32[]) while(%x), condition=%c, body=%b
}
"""


def test_operations_of_a_program() -> None:
    op_name = "jit(f)/while/body/transpose(jvp(Net))/cell/dot_general"
    operations = read_operations(HLO.replace("METADATA", f'metadata={{op_name="{op_name}" id=1}}'))
    assert operations["a_fusion"].group == PRODUCTS
    assert operations["a_fusion"].scope == "backward Net/cell/dot_general"
    assert operations["b_fusion.2"].group == MOVEMENT
    assert operations["gemm.3"].group == PRODUCTS
    assert operations["tanh.1"].group == ELEMENTWISE
    assert operations["tanh.1"].scope == "forward Net/tanh"
    assert operations["sum"].group == COLLECTIVES
    assert operations["loop.1"].group == LOOPS
    by_name = {name: operation_by_name(name).group for name in ("dot.17", "add_fusion.2")}
    assert by_name == {"dot.17": PRODUCTS, "add_fusion.2": ELEMENTWISE}
