// uses: exponential
//
// The logistic function of x and of -x: 1 / (1 + e^-x), 1 / (1 + e^x). x is not NaN.

fn sigmoids(x: f32) -> vec2<f32> {
    let e = exponential(-abs(x));
    let large = 1.0 / (1.0 + e);
    let small = e * large;
    return select(vec2<f32>(large, small), vec2<f32>(small, large), x < 0.0);
}
