enable f16;
enable wgpu_cooperative_matrix;

// A product of a dense layer: shared/layer.wgsl says which, shared/cooperative.wgsl how. By cooperative matrices of 16 x 16.
//
// uses: cooperative

const SIDE = 16u;
const UNIT = 4u;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;

var<workgroup> left_operand: array<vec4<f16>, left_units>;
var<workgroup> right_operand: array<vec4<f16>, right_units>;

fn put_left(at: u32, quad: vec4<f16>) {
    left_operand[at] = quad;
}

fn put_right(at: u32, quad: vec4<f16>) {
    right_operand[at] = quad;
}

fn right_value(at: u32) -> f32 {
    return f32(right_operand[at / 4u][at % 4u]);
}
