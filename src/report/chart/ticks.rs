//! Where an axis has its ticks, and how numbers are written beside them.

/// Ticks at round numbers from `low` to `high`, about `count` of them: multiples of 1, 2 or 5 times a power of ten. Both bounds are
/// finite, and `low` is less than `high`.
pub fn round(low: f64, high: f64, count: usize) -> Vec<f64> {
    let step = step(low, high, count);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    // A number that would be -0 is 0.
    (0..=(last - first).max(0.0) as usize).map(|at| (first + at as f64) * step + 0.0).collect()
}

/// The distance of such ticks.
fn step(low: f64, high: f64, count: usize) -> f64 {
    let rough = (high - low) / count.max(1) as f64;
    let power = 10f64.powi(rough.log10().floor() as i32);
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * power >= rough * 0.999).unwrap_or(10.0);
    times * power
}

/// The least range of round numbers that holds `low` to `high`: bounds of an axis. What is no range becomes one.
pub fn outer(low: f64, high: f64, count: usize) -> (f64, f64) {
    let (low, high) = widened(low, high);
    let step = step(low, high, count);
    ((low / step + 1e-9).floor() * step + 0.0, (high / step - 1e-9).ceil() * step)
}

/// `low` to `high` as a range that has a width.
pub fn widened(low: f64, high: f64) -> (f64, f64) {
    if !low.is_finite() || !high.is_finite() {
        return (0.0, 1.0);
    }
    let least = (low.abs().max(high.abs()) * 1e-9).max(f64::MIN_POSITIVE * 1e12);
    if high - low > least {
        return (low, high);
    }
    let by = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
    (low - by, high + by)
}

/// Ticks of a logarithmic axis from `low` to `high`, both above 0: powers of ten, with 2 and 5 times them where there are few.
pub fn powers(low: f64, high: f64) -> Vec<f64> {
    let of = |times: &[f64]| -> Vec<f64> {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let all = (first..=last).flat_map(|power| times.iter().map(move |times| times * 10f64.powi(power)));
        all.filter(|tick| (low * 0.9999..=high * 1.0001).contains(tick)).collect()
    };
    let powers = of(&[1.0]);
    let few = if powers.len() < 3 { of(&[1.0, 2.0, 5.0]) } else { powers };
    if few.len() < 2 { vec![low, high] } else { few }
}

/// The texts of `ticks`, all with the digits that their distance needs.
pub fn labels(ticks: &[f64]) -> Vec<String> {
    let largest = ticks.iter().fold(0.0f64, |largest, tick| largest.max(tick.abs()));
    let gap = ticks.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(f64::INFINITY, f64::min);
    let gap = if gap.is_finite() && gap > 0.0 { gap } else { largest };
    if largest > 0.0 && (largest >= 1e6 || gap < 1e-4) {
        let power = largest.log10().floor() as i32;
        let unit = 10f64.powi(power);
        let digits = decimals(gap / unit);
        let times = |tick: &f64| match *tick {
            0.0 => "0".to_owned(),
            tick => format!("{}×10{}", sign(format!("{:.digits$}", tick / unit)), raised(power)),
        };
        return ticks.iter().map(times).collect();
    }
    let digits = decimals(gap);
    ticks.iter().map(|tick| sign(grouped(&format!("{tick:.digits$}")))).collect()
}

/// A number of its own with about `digits` digits that say something.
pub fn number(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value.is_nan() { "–".into() } else { sign(format!("{value}")) };
    }
    let power = value.abs().log10().floor() as i32;
    if !(-5..9).contains(&power) {
        let short = format!("{:.*}", digits.saturating_sub(1), value / 10f64.powi(power));
        return sign(format!("{}×10{}", trimmed(&short), raised(power)));
    }
    let places = (digits as i32 - 1 - power).max(0) as usize;
    sign(grouped(trimmed(&format!("{value:.places$}"))))
}

/// A number with so many digits behind the point.
pub fn number_with(value: f64, decimals: usize) -> String {
    if value.is_finite() { sign(grouped(&format!("{value:.decimals$}"))) } else { number(value, 1) }
}

/// A whole number with marks between thousands.
pub fn count(value: u64) -> String {
    grouped(&value.to_string())
}

/// Without zeros at the end of its decimals.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Digits behind the point that tell numbers at this distance apart.
fn decimals(gap: f64) -> usize {
    (0..12)
        .find(|digits| (gap * 10f64.powi(*digits)).fract().min(1.0 - (gap * 10f64.powi(*digits)).fract()) < 1e-6)
        .unwrap_or(12) as usize
}

/// With marks between thousands, from 10,000 on.
fn grouped(text: &str) -> String {
    let (minus, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, decimals) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    if whole.len() < 5 {
        return text.to_owned();
    }
    let mut marked = String::from(minus);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            marked.push(',');
        }
        marked.push(digit);
    }
    marked + decimals
}

/// With a true minus.
fn sign(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// An exponent.
fn raised(power: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |digit: char| digit.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    power.to_string().chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(round(0.0, 1.0, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(round(-3.0, 12.0, 4), [0.0, 5.0, 10.0]);
        assert_eq!(round(0.1, 0.1007, 3), [0.1, 0.1005]);
        assert!(round(-1.0, 1.0, 4).iter().all(|tick| tick.is_sign_positive() || *tick < 0.0));
        for (low, high) in [(1e-12, 3e-12), (-7e8, 9e11), (0.031, 0.0317), (1e6, 1e6 + 1.0)] {
            for count in 2..9 {
                let ticks = round(low, high, count);
                let (few, many) = (count / 3, 2 * count + 1);
                assert!((few..=many).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
                let slack = (high - low) * 1e-6;
                assert!(ticks.iter().all(|tick| (low - slack..=high + slack).contains(tick)), "{ticks:?}");
            }
        }
    }

    #[test]
    fn bounds_hold_what_they_are_of_and_equal_ones_become_a_range() {
        assert_eq!(outer(0.03, 0.97, 5), (0.0, 1.0));
        assert_eq!(outer(0.2, 0.4, 2), (0.2, 0.4));
        for (low, high) in [(5.0, 5.0), (0.0, 0.0), (-2.0, -2.0), (1e300, 1e300), (f64::NAN, 1.0), (1.0, f64::INFINITY)]
        {
            let (from, to) = outer(low, high, 4);
            assert!(from < to && from.is_finite() && to.is_finite(), "{low} {high}: {from} {to}");
            assert!(round(from, to, 4).len() >= 2);
        }
    }

    #[test]
    fn labels_have_the_digits_that_they_need() {
        assert_eq!(labels(&[0.0, 0.25, 0.5]), ["0.00", "0.25", "0.50"]);
        assert_eq!(labels(&[-10.0, 0.0, 10.0]), ["−10", "0", "10"]);
        assert_eq!(labels(&[0.0, 5000.0, 10000.0]), ["0", "5000", "10,000"]);
        assert_eq!(labels(&[0.0, 2e6, 4e6]), ["0", "2×10⁶", "4×10⁶"]);
        assert_eq!(labels(&[1e-5, 2e-5]), ["1×10⁻⁵", "2×10⁻⁵"]);
    }

    #[test]
    fn numbers_keep_the_digits_that_say_something() {
        let shown = |value| number(value, 4);
        assert_eq!(
            [0.0, 0.12345, 12.5, -1234.56, 1234567.0, 1.5e-7, f64::NAN].map(shown),
            ["0", "0.1235", "12.5", "−1235", "1,234,567", "1.5×10⁻⁷", "–"]
        );
        assert_eq!((count(999), count(54_000), count(1_234_567)), ("999".into(), "54,000".into(), "1,234,567".into()));
    }

    #[test]
    fn powers_of_ten_are_the_ticks_of_a_logarithmic_axis() {
        assert_eq!(powers(1e-4, 1e-1).len(), 4);
        assert_eq!(powers(0.1, 10.0), [0.1, 1.0, 10.0]);
        assert_eq!(powers(0.7, 6.0), [1.0, 2.0, 5.0]);
        assert_eq!(powers(3.0, 4.0), [3.0, 4.0]);
    }
}
