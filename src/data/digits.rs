//! The embedded data set: digits drawn from stroke templates, each a little differently, framed as MNIST is.
//!
//! Image `i` of a seed depends on nothing else: it has a random stream of its own. All arithmetic is addition,
//! multiplication, division and square root, which are exact to the bit on every platform.

use std::sync::LazyLock;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Height and width of an image in pixels.
pub const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
/// The longer side in pixels of the box that a digit fills, as in MNIST.
const BOX: f32 = 20.0;
/// Straight pieces that a curve between two template points is drawn as.
const PIECES: usize = 4;

static TEMPLATES: LazyLock<Vec<Vec<Variant>>> = LazyLock::new(|| parse(include_str!("../../assets/digits.txt")));

type Variant = Vec<Stroke>;
type Stroke = Vec<Knot>;

/// A point that a stroke goes through, in units of the template's box, its centre at 0.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Knot {
    x: f32,
    y: f32,
    corner: bool,
}

/// A point of a stroke as it is drawn, in pixels, with the stroke's radius there.
#[derive(Debug, Clone, Copy)]
struct Point {
    x: f32,
    y: f32,
    radius: f32,
}

/// Draws the images `first .. first + count` of `seed`: `count x 784` bytes, row-major, and `count` labels, 0 to 9. They do
/// not depend on the number of threads.
pub fn generate(seed: u64, first: u64, count: usize) -> (Vec<u8>, Vec<u8>) {
    let mut images = vec![0; count * PIXELS];
    let mut labels = vec![0; count];
    let work = images.par_chunks_exact_mut(PIXELS).zip(&mut labels).enumerate();
    work.with_min_len(256).for_each(|(index, (image, label))| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(first.wrapping_add(index as u64));
        *label = draw(&mut Dice(rng), image);
    });
    (images, labels)
}

/// The variants of each digit. A malformed line is left out; a test makes sure that there is none.
fn parse(text: &str) -> Vec<Vec<Variant>> {
    let mut digits = vec![Vec::new(); 10];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((digit, variant)) = parse_line(line) {
            digits[digit].push(variant);
        }
    }
    digits
}

fn parse_line(line: &str) -> Option<(usize, Variant)> {
    let (head, strokes) = line.split_once(':')?;
    let digit = head.split_whitespace().next()?.parse().ok().filter(|&digit: &usize| digit < 10)?;
    let knot = |text: &str| {
        let corner = text.ends_with('!');
        let (x, y) = text.trim_end_matches('!').split_once(',')?;
        let coordinate = |text: &str| Some(text.parse::<f32>().ok()? / 100.0 - 0.5);
        Some(Knot { x: coordinate(x)?, y: coordinate(y)?, corner })
    };
    let stroke = |text: &str| text.split_whitespace().map(knot).collect::<Option<Stroke>>().filter(|s| s.len() > 1);
    Some((digit, strokes.split('|').map(stroke).collect::<Option<Variant>>()?))
}

/// The random numbers of one image.
struct Dice(ChaCha8Rng);

impl Dice {
    /// Uniform in `0..bound`.
    fn below(&mut self, bound: usize) -> usize {
        ((u64::from(self.0.next_u32()) * bound as u64) >> 32) as usize
    }

    /// Uniform in -1..1.
    fn signed(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Bell-shaped with standard deviation 1, within -3.5..3.5: the sum of four uniform numbers.
    fn bell(&mut self) -> f32 {
        // A uniform number in -1..1 has variance 1/3, so the sum has 4/3.
        (self.signed() + self.signed() + self.signed() + self.signed()) * 0.866_025_4
    }
}

/// A smooth periodic wave between -1 and 1 with period 1: parabolas in place of a sine.
fn wave(t: f32) -> f32 {
    let t = t - t.floor();
    if t < 0.5 { 16.0 * t * (0.5 - t) } else { -16.0 * (t - 0.5) * (1.0 - t) }
}

/// Draws one image and returns its label.
fn draw(dice: &mut Dice, image: &mut [u8]) -> u8 {
    let digit = dice.below(10);
    let variants = &TEMPLATES[digit];
    let Some(variant) = variants.get(dice.below(variants.len())) else { return digit as u8 };
    // Most are drawn with some care, few without any.
    let haste = 0.5 + 0.5 * dice.signed();
    let strength = 0.64 + 0.36 * haste * haste;
    let mut strokes = outline(variant, strength, dice);
    deform(&mut strokes, strength, dice);
    frame(&mut strokes, strength, dice);
    rasterise(&strokes, dice, image);
    digit as u8
}

/// The strokes as straight pieces, with their template points moved a little.
fn outline(variant: &Variant, strength: f32, dice: &mut Dice) -> Vec<Vec<Point>> {
    let jitter = 0.042 * strength;
    let strokes = variant.iter().map(|stroke| {
        let knots: Vec<Knot> = stroke
            .iter()
            .map(|knot| Knot { x: knot.x + jitter * dice.bell(), y: knot.y + jitter * dice.bell(), ..*knot })
            .collect();
        let mut points = Vec::with_capacity(knots.len() * PIECES + 1);
        for (index, pair) in knots.windows(2).enumerate() {
            let (from, to) = (pair[0], pair[1]);
            // Tangents of a Catmull-Rom spline (half the way from the point before to the point after); at corners
            // and ends, straight on.
            let before = if from.corner || index == 0 { from } else { knots[index - 1] };
            let after = if to.corner { to } else { *knots.get(index + 2).unwrap_or(&to) };
            for piece in 0..PIECES {
                let t = piece as f32 / PIECES as f32;
                let along = |p: f32, a: f32, b: f32, n: f32| {
                    let (start, end) = (0.5 * (b - p), 0.5 * (n - a));
                    let (t2, t3) = (t * t, t * t * t);
                    (2.0 * t3 - 3.0 * t2 + 1.0) * a
                        + (t3 - 2.0 * t2 + t) * start
                        + (3.0 * t2 - 2.0 * t3) * b
                        + (t3 - t2) * end
                };
                let x = along(before.x, from.x, to.x, after.x);
                let y = along(before.y, from.y, to.y, after.y);
                points.push(Point { x, y, radius: 0.0 });
            }
        }
        points.extend(knots.last().map(|knot| Point { x: knot.x, y: knot.y, radius: 0.0 }));
        points
    });
    strokes.collect()
}

/// Applies slant, aspect, rotation, proportions and an elastic wobble.
fn deform(strokes: &mut [Vec<Point>], strength: f32, dice: &mut Dice) {
    let aspect = 1.053 + 0.205 * strength * dice.bell().clamp(-2.0, 2.0);
    // People lean to the right.
    let slant = 0.179 + 0.275 * strength * dice.bell();
    // A rotation by twice the angle whose tangent is `half`: no sine needed.
    let half = 0.081 * strength * dice.bell();
    let scale = 1.0 / (1.0 + half * half);
    let (sine, cosine) = (2.0 * half * scale, (1.0 - half * half) * scale);
    let mut bend = || (0.061 * strength * dice.bell(), 0.5 + 0.306 * (dice.signed() + 1.0), dice.signed());
    let bends = [bend(), bend()];
    // The waist up or down, top or bottom wider, left or right wider.
    let mut stretch = |most: f32| most * strength * dice.bell();
    let (waist, taper, side) = (stretch(0.331), stretch(0.422), stretch(0.370));
    for point in strokes.iter_mut().flatten() {
        let (x, y) = (point.x, point.y);
        point.y = y + waist * (0.25 - y * y);
        point.x = x * (1.0 + taper * y) + side * (0.25 - x * x);
        let [(dx, fx, px), (dy, fy, py)] = bends;
        let (x, y) = (point.x + dx * wave(fx * point.y + px), point.y + dy * wave(fy * point.x + py));
        let (x, y) = (x * aspect - slant * y, y);
        (point.x, point.y) = (cosine * x - sine * y, sine * x + cosine * y);
    }
}

/// Scales the strokes to MNIST's box, puts their centre of mass in the middle, and sets their radius.
fn frame(strokes: &mut [Vec<Point>], strength: f32, dice: &mut Dice) {
    let radius = (1.402 + 0.302 * dice.bell()).clamp(0.7, 2.1);
    let (pressure, frequency, phase) = (0.154 * strength * dice.bell(), 0.7 + 0.5 * dice.signed(), dice.signed());

    let mut low = [f32::INFINITY; 2];
    let mut high = [f32::NEG_INFINITY; 2];
    for point in strokes.iter().flatten() {
        low = [low[0].min(point.x), low[1].min(point.y)];
        high = [high[0].max(point.x), high[1].max(point.y)];
    }
    let extent = (high[0] - low[0]).max(high[1] - low[1]).max(0.1);
    let size = BOX * (0.977 + 0.023 * dice.signed());
    let scale = (size - 2.0 * radius) / extent;

    let (mut mass, mut x, mut y) = (1e-6, 0.0, 0.0);
    for stroke in strokes.iter_mut() {
        let pieces = stroke.len() as f32;
        for (index, point) in stroke.iter_mut().enumerate() {
            (point.x, point.y) = (point.x * scale, point.y * scale);
            point.radius = radius * (1.0 + pressure * wave(frequency * index as f32 / pieces + phase));
        }
        for pair in stroke.windows(2) {
            let (dx, dy) = (pair[1].x - pair[0].x, pair[1].y - pair[0].y);
            let weight = (dx * dx + dy * dy).sqrt() * (pair[0].radius + pair[1].radius);
            mass += weight;
            x += weight * 0.5 * (pair[0].x + pair[1].x);
            y += weight * 0.5 * (pair[0].y + pair[1].y);
        }
    }
    let centre = SIDE as f32 / 2.0;
    let shift = 1.078 * strength;
    let (x, y) = (centre - x / mass + shift * dice.signed(), centre - y / mass + shift * dice.signed());
    for point in strokes.iter_mut().flatten() {
        point.x += x;
        point.y += y;
    }
}

/// Inks the pixels whose centre is within a stroke's radius. Ink fades over a soft edge; where pieces overlap, the darkest
/// counts.
fn rasterise(strokes: &[Vec<Point>], dice: &mut Dice, image: &mut [u8]) {
    let edge = 0.76 * (1.0 + 0.3 * dice.signed());
    let ink = 1.0 - 0.01 * (dice.signed() + 1.0);
    for pair in strokes.iter().flat_map(|stroke| stroke.windows(2)) {
        let (from, to) = (pair[0], pair[1]);
        let radius = 0.5 * (from.radius + to.radius);
        let reach = radius + edge;
        let range = |a: f32, b: f32| {
            let low = (a.min(b) - reach - 0.5).clamp(0.0, SIDE as f32) as usize;
            let high = (a.max(b) + reach + 0.5).clamp(0.0, SIDE as f32) as usize;
            low..high
        };
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let inverse = 1.0 / (dx * dx + dy * dy).max(1e-12);
        for row in range(from.y, to.y) {
            for column in range(from.x, to.x) {
                let (x, y) = (column as f32 + 0.5 - from.x, row as f32 + 0.5 - from.y);
                let t = ((x * dx + y * dy) * inverse).clamp(0.0, 1.0);
                let (x, y) = (x - t * dx, y - t * dy);
                let distance = (x * x + y * y).sqrt();
                let shade = ((radius + 0.5 * edge - distance) / edge).clamp(0.0, 1.0);
                let value = (255.0 * ink * shade + 0.5) as u8;
                let pixel = &mut image[row * SIDE + column];
                *pixel = value.max(*pixel);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_templates_parses_and_every_digit_has_variants() {
        let lines = include_str!("../../assets/digits.txt").lines();
        let lines: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert!(lines.iter().all(|line| parse_line(line).is_some()));
        assert_eq!(TEMPLATES.iter().map(Vec::len).sum::<usize>(), lines.len());
        assert!(TEMPLATES.iter().all(|variants| variants.len() >= 3));
    }

    #[test]
    fn templates_that_do_not_hold_are_refused() {
        for line in
            ["", "x a: 1,2 3,4", "10 a: 1,2 3,4", "3 a 1,2", "3 a: 1,2", "3 a: 1;2 3,4", "3 a: 1,2 3,4 | 5,x 6,7"]
        {
            assert!(parse_line(line).is_none(), "{line:?}");
        }
    }

    #[test]
    fn images_depend_on_seed_and_index_alone_not_on_threads() {
        let all = generate(0, 0, 600);
        for threads in [1, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(all, pool.install(|| generate(0, 0, 600)));
        }
        let part = generate(0, 200, 100);
        assert_eq!(part.0, all.0[200 * PIXELS..300 * PIXELS]);
        assert_eq!(part.1, all.1[200..300]);
        assert_ne!(all.0, generate(1, 0, 600).0);
    }

    #[test]
    fn digits_are_framed_as_mnist_is() {
        let (images, labels) = generate(0, 0, 2000);
        let mut counts = [0; 10];
        let mut inked = 0;
        for (image, &label) in images.chunks_exact(PIXELS).zip(&labels) {
            counts[usize::from(label)] += 1;
            let (mut mass, mut x, mut y) = (0.0, 0.0, 0.0);
            for (index, &value) in image.iter().enumerate() {
                let value = f64::from(value);
                mass += value;
                x += value * ((index % SIDE) as f64 + 0.5);
                y += value * ((index / SIDE) as f64 + 0.5);
            }
            inked += image.iter().filter(|&&value| value > 0).count();
            assert!(
                (x / mass - 14.0).abs() < 2.0 && (y / mass - 14.0).abs() < 2.0,
                "{label}: {} {}",
                x / mass,
                y / mass
            );
            assert!(*image.iter().max().unwrap() > 200);
        }
        assert!(counts.iter().all(|&count| (150..250).contains(&count)), "{counts:?}");
        let share = inked as f64 / images.len() as f64;
        assert!((0.15..0.25).contains(&share), "{share} of the pixels are inked, MNIST's share is 0.19");
    }

    #[test]
    fn the_bytes_are_pinned_so_that_no_change_goes_unseen() {
        // FNV-1a over the first 100 images.
        let hash = generate(0, 0, 100)
            .0
            .iter()
            .fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        assert_eq!(hash, 18_290_484_012_428_414_900);
    }
}
