// What the optimizer keeps beside the parameters: its slots of parameter `at` lie side by side.

@group(0) @binding(14) var<storage, read_write> slots: array<f32>;
