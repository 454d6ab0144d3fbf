enable f16;
enable wgpu_cooperative_matrix;

// A product of a dense layer: shared/layer.wgsl says which, shared/cooperative.wgsl how. By cooperative matrices of 8 x 8.
//
// uses: cooperative

const SIDE = 8u;
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sum = coop_mat8x8<f32, C>;
