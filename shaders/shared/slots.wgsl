// What the optimizer keeps beside the parameters: its slots of parameter `at` lie side by side.

@group(0) @binding(14) var<storage, read_write> slots: array<f32>;

// `value`, or 0 below 2^-120: what shrinks with each step would end as a number of less than full precision, with which many
// processors are slow.
fn without_tiny(value: f32) -> f32 {
    return select(value, 0.0, abs(value) < 0x1p-120f);
}
