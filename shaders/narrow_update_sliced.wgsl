// The update of all parameters of a network with one narrow hidden layer: shared/narrow_parameters.wgsl says what,
// shared/sliced.wgsl how. For GPUs.
//
// The first workgroups share out W0 and b0; the others W1 and b1, lanes / rest_slices values each, in `rest_slices` slices.
//
// uses: narrow_parameters, sliced

override rest_slices: u32;
override rest_turns: u32 = (room + rest_slices - 1u) / rest_slices;
override rest_each: u32 = lanes / rest_slices;
override unit_groups: u32 = (hidden + units - 1u) / units;

fn four_inputs(row: u32, k: u32) -> vec4<f32> {
    return quad(data_row(row), k);
}

fn delta(row: u32, j: u32) -> f32 {
    return d0[own_rows(hidden) + row * hidden + j];
}

fn update_first(number: u32, lane: u32) {
    let corner = corner(number, hidden);
    let mine = mine(corner, lane, inputs, hidden);
    let at = own_parameters() + w0 + mine.input * hidden + mine.unit;
    var before = 0.0;
    if mine.has_one { before = parameters[at]; }
    let sum = sliced_sum(corner, lane, inputs, hidden);
    if mine.has_one { parameters[at] = step(at, before, sum / batch.divisor, mine.input == inputs); }
}

fn update_second(number: u32, lane: u32) {
    let i = number * rest_each + lane % rest_each;
    let has_one = i < (hidden + 1u) * classes;
    let j = min(i / classes, hidden);
    let slice = lane / rest_each;
    let at = own_parameters() + w1 + i;
    var before = 0.0;
    if has_one { before = parameters[at]; }
    let own_h = own_rows(hidden) + min(j, hidden - 1u);
    let own_d1 = own_rows(classes) + i % classes;
    var sum = 0.0;
    for (var turn = 0u; turn < rest_turns; turn++) {
        let r = slice + turn * rest_slices;
        let row = min(r, batch.rows - 1u);
        sum += factor(r) * (select(h[own_h + row * hidden], 1.0, j == hidden) * d1[own_d1 + row * classes]);
    }
    partial[lane] = sum;
    workgroupBarrier();
    if lane >= rest_each || !has_one { return; }
    sum = 0.0;
    for (var s = 0u; s < rest_slices; s++) { sum += partial[s * rest_each + lane]; }
    parameters[at] = step(at, before, sum / batch.divisor, j == hidden);
}

@compute @workgroup_size(lanes)
fn main(
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let number = group.x + group.y * groups.x;
    let needed = (inputs / 4u + words) / words * unit_groups;
    if number < needed {
        update_first(number, lane);
    } else {
        update_second(number - needed, lane);
    }
}
