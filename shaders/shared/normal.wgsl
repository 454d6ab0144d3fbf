// uses: exponential
//
// The normal distribution's cumulative probability and density at x, which is not NaN.

fn normal(x: f32) -> vec2<f32> {
    // Beyond 13.3 the exponential is 0.
    let a = min(abs(x), 13.4);
    // The square in two parts: of the leading bits, which is exact, and the rest.
    let leading = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
    let rest = (a - leading) * (a + leading);
    let e = exponential_of_sum(-0.5 * (leading * leading), -0.5 * rest);
    // P(-a) e^(a^2 / 2) as t times a polynomial in t - 0.6, t = 1 / (1 + 0.3 a): a minimax fit for a in 0..13.3 by iterated
    // weighted least squares, within 3.5e-9.
    let t = 1.0 / (0.3 * a + 1.0);
    let s = t - 0.6;
    var p = -0.020584656;
    p = p * s + 0.001059987;
    p = p * s + 0.044185495;
    p = p * s - 0.0075514825;
    p = p * s - 0.09104466;
    p = p * s - 0.013820072;
    p = p * s + 0.22535584;
    p = p * s + 0.41374485;
    p = p * s + 0.40513675;
    p = p * s + 0.25857268;
    let tail = p * t * e;
    // 1 / sqrt(2 pi)
    return vec2<f32>(select(1.0 - tail, tail, x < 0.0), 0.39894228 * e);
}
