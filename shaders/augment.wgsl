// x[r, p] = the image of row r of the batch at c + A (p - c) + shift + d(p), for each pixel p, after dropout
//
// data: n x inputs bytes (four a word, little-endian) or floats; x: rows x inputs, both images of height x width x channels. c is the
// centre, A = R diag(scale) turns and scales, d is a uniform cubic B-spline over a grid of displacements (Simard, Steinkraus
// and Platt 2003 bend images so, with a Gaussian filter). Between pixels values are interpolated, and beyond the edge the
// nearest repeats. What is drawn is a hash of step, row and number of the draw. A line of workgroups along x makes a row, one
// invocation a value; along y lie the rows.
//
// uses: order, own_rows, rows, hash, dropout

override inputs: u32;
override floats: bool;
override height: u32;
override width: u32;
// Values of a pixel, which lie together
override channels: u32;
// The bounds of the draws: pixels, quarters of a turn, a share, pixels
override shift: f32;
override quarters: f32;
override scale: f32;
override elastic: f32;
// Spaces of the grid from one pixel to the next, and its points along a side
override spaces_per_pixel: f32;
override points: u32;
override all_points: u32 = points * points;

@group(0) @binding(3) var<storage, read_write> x: array<f32>;

// Displacements along x and y
var<workgroup> grid: array<vec2<f32>, all_points>;

// Tells its draws from those of dropout, which has the number of a layer here.
const DOMAIN: u32 = 0x6175676du;

// Draw `number` of a row, from -1 on and below 1. No sum of floats, over which compilers would distribute what it is multiplied by.
fn draw(row_key: u32, number: u32) -> f32 {
    return f32(i32(mix(row_key ^ number) >> 8u) - 8388608) * (1.0 / 8388608.0);
}

// Sine and cosine of an angle in quarters of a turn: built-in ones may err by far more than a rounding.
fn sin_cos(angle: f32) -> vec2<f32> {
    let nearest = floor(angle + 0.5);
    let x = (angle - nearest) * 1.57079637;
    let square = x * x;
    let s = x * (1.0 + square * (-1.0 / 6.0 + square * (1.0 / 120.0 + square * (-1.0 / 5040.0 + square / 362880.0))));
    let c = 1.0 + square * (-0.5 + square * (1.0 / 24.0 + square * (-1.0 / 720.0 + square / 40320.0)));
    switch i32(nearest) & 3 {
        case 0: { return vec2<f32>(s, c); }
        case 1: { return vec2<f32>(c, -s); }
        case 2: { return vec2<f32>(-s, -c); }
        default: { return vec2<f32>(-c, s); }
    }
}

// How much the four points of the grid around a place between the two in the middle count there.
fn spline(t: f32) -> vec4<f32> {
    let square = t * t;
    let cube = square * t;
    let rest = 1.0 - t;
    return vec4<f32>(
        rest * rest * rest,
        3.0 * cube - 6.0 * square + 4.0,
        -3.0 * cube + 3.0 * square + 3.0 * t + 1.0,
        cube,
    ) / 6.0;
}

fn displacement(place: vec2<f32>) -> vec2<f32> {
    let at = place * spaces_per_pixel;
    let first = floor(at);
    let columns = spline(at.x - first.x);
    let rows = spline(at.y - first.y);
    var sum = vec2<f32>();
    for (var j = 0u; j < 4u; j++) {
        var along_y = vec2<f32>();
        for (var k = 0u; k < 4u; k++) {
            along_y += rows[k] * grid[(u32(first.y) + k) * points + u32(first.x) + j];
        }
        sum += columns[j] * along_y;
    }
    return sum;
}

fn pixel(row: u32, place: vec2<u32>, channel: u32) -> f32 {
    let inside = min(place, vec2<u32>(width - 1u, height - 1u));
    return value(row, (inside.y * width + inside.x) * channels + channel);
}

// The new image's value `channel` at `place`, of row `row` of the batch.
fn augmented(row: u32, row_key: u32, place: vec2<f32>, channel: u32) -> f32 {
    let last = vec2<f32>(f32(width - 1u), f32(height - 1u));
    let centre = 0.5 * last;
    let turn = sin_cos(quarters * draw(row_key, 2u));
    let factors = 1.0 + scale * vec2<f32>(draw(row_key, 3u), draw(row_key, 4u));
    let along_x = vec2<f32>(turn.y, turn.x) * factors.x;
    let along_y = vec2<f32>(-turn.x, turn.y) * factors.y;
    let place_from_centre = place - centre;
    let turned = along_x * place_from_centre.x + along_y * place_from_centre.y;
    let shifted = shift * vec2<f32>(draw(row_key, 0u), draw(row_key, 1u)) + displacement(place);
    let source = clamp(turned + centre + shifted, vec2<f32>(), last);
    let whole = vec2<u32>(source);
    let part = source - floor(source);
    let from_row = data_row(row);
    let above = vec2<f32>(pixel(from_row, whole, channel), pixel(from_row, whole + vec2<u32>(1u, 0u), channel));
    let below = vec2<f32>(
        pixel(from_row, whole + vec2<u32>(0u, 1u), channel),
        pixel(from_row, whole + vec2<u32>(1u, 1u), channel),
    );
    let between = above + part.y * (below - above);
    return between.x + part.x * (between.y - between.x);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    begin(group.z);
    let at = 64u * group.x + lane;
    let own = own_rows(inputs) + at;
    for (var row = group.y; row < batches[group.z].rows; row += groups.y) {
        let row_key = mix(mix(batch.step_key ^ DOMAIN) ^ row);
        // The row before is done.
        workgroupBarrier();
        for (var point = lane; point < all_points; point += 64u) {
            grid[point] = elastic * vec2<f32>(draw(row_key, 5u + 2u * point), draw(row_key, 6u + 2u * point));
        }
        workgroupBarrier();
        if at < inputs {
            let place = at / channels;
            let moved = augmented(row, row_key, vec2<f32>(f32(place % width), f32(place / width)), at % channels);
            x[own + row * inputs] = dropped(moved, row, at);
        }
    }
}
