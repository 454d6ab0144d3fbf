enable f16;
enable wgpu_cooperative_matrix;

// A product of a dense layer: shared/layer.wgsl says which, shared/cooperative.wgsl how. By cooperative matrices of 8 x 8.
//
// uses: cooperative

const SIDE = 8u;
const UNIT = 1u;
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sum = coop_mat8x8<f32, C>;

var<workgroup> left_operand: array<f16, left_units>;
var<workgroup> right_operand: array<f16, right_units>;

fn put_left(at: u32, quad: vec4<f16>) {
    for (var i = 0u; i < 4u; i++) { left_operand[4u * at + i] = quad[i]; }
}

fn put_right(at: u32, quad: vec4<f16>) {
    for (var i = 0u; i < 4u; i++) { right_operand[4u * at + i] = quad[i]; }
}

fn right_value(at: u32) -> f32 {
    return f32(right_operand[at]);
}
