enable f16;
enable wgpu_cooperative_matrix;

// A product of a dense layer: shared/layer.wgsl says which, shared/cooperative.wgsl how. By cooperative matrices of 16 x 16.
//
// uses: cooperative

const SIDE = 16u;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
