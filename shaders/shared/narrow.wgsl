// Shared by the kernels that take rows forward and backward through one narrow hidden layer:
//   h = activate(x W0 + b0), p = the head's prediction from h W1 + b1, and when training d1 = the loss's gradient there,
//   d0 = that before the activation, from d1 W1^T
//
// data: n x inputs, bytes (four a word, little-endian) or floats; x: the batch's rows of it; parameters: W0 (inputs x
// hidden), b0, W1 (hidden x classes), b1, row-major, where their offsets say of the member's; h, d0: rows x hidden; p: rows x
// classes, p or d1. One workgroup does `group_rows` rows. Who uses this declares `parameters`, binding 4.
//
// uses: order, own_rows, own_parameters, rows, activation, dropout, head, weights

override inputs: u32;
override hidden: u32;
// Classes, or values of a row
override classes: u32;
override floats: bool;
override training: bool;
override w0: u32;
override b0: u32;
override w1: u32;
override b1: u32;
override group_rows: u32;
override lanes: u32;
override units_values: u32 = group_rows * hidden;
override kept_values: u32;
override outputs_values: u32 = group_rows * classes;

@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(5) var<storage, read_write> h: array<f32>;
@group(0) @binding(6) var<storage, read_write> d0: array<f32>;
@group(0) @binding(7) var<storage, read_write> p: array<f32>;

// group_rows x hidden: h
var<workgroup> units: array<f32, units_values>;
// What h was made from, where the activation's slope needs it
var<workgroup> kept: array<f32, kept_values>;
// group_rows x classes: p or d1
var<workgroup> outputs: array<f32, outputs_values>;
