// Shared by the kernels of the last layer, up to the gradient at the layer before it:
//   p = the head's prediction from a W + biases, and when training d = the loss's gradient there, c = that before the
//   activation that made a, from d W^T and h, where `backward` says so
//
// a: rows x inputs, the layer before it or the rows that were made of the batch's, or where `source` says so the
// batch's rows of a data set of bytes (four a word, little-endian) or floats. h: rows x inputs, a, or what it was made
// from where the activation's slope needs that. b: the member's parameters, W (inputs x classes) and its biases from
// `offset` on; p: rows x classes, p or d; c: rows x inputs; all row-major.
//
// uses: order, own_rows, own_parameters, activation, dropout, head, weights

override backward: bool;
override inputs: u32;
// Classes, or values of a row
override classes: u32;
override offset: u32;
override lanes: u32;

@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> targets: array<u32>;
@group(0) @binding(5) var<storage, read_write> p: array<f32>;
@group(0) @binding(6) var<storage, read_write> c: array<f32>;
