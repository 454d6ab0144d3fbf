//! Rules beside strokes that are as straight.

#![allow(clippy::unwrap_used)]

use super::*;

const SIDE: usize = 300;

/// A place, from 0 to 1 along both axes.
type Place = (f32, f32);

/// Draws a stroke of this width, in pixels, along `places`.
fn draw(mask: &mut Mask, places: &[Place], width: f32) {
    for ends in places.windows(2) {
        for step in 0..=2 * SIDE {
            let part = step as f32 / (2 * SIDE) as f32;
            let at = |a: f32, b: f32| (a + part * (b - a)) * SIDE as f32;
            let (x, y) = (at(ends[0].0, ends[1].0), at(ends[0].1, ends[1].1));
            let reach = |at: f32| {
                let first = (at - width / 2.0).round().max(0.0) as usize;
                first..(first + width as usize).min(SIDE)
            };
            for (x, y) in reach(y).flat_map(|y| reach(x).map(move |x| (x, y))) {
                mask.set(x, y, true);
            }
        }
    }
}

fn drawn(strokes: &[&[Place]], width: f32) -> Mask {
    let mut mask = Mask::empty(SIDE, SIDE);
    strokes.iter().for_each(|stroke| draw(&mut mask, stroke, width));
    mask
}

/// Digits that are straight, as many write them.
fn digits() -> Vec<(&'static str, Vec<&'static [Place]>)> {
    vec![
        ("1", vec![&[(0.5, 0.25), (0.5, 0.75)]]),
        ("1 with a base", vec![&[(0.4, 0.35), (0.5, 0.25), (0.5, 0.75)], &[(0.35, 0.75), (0.65, 0.75)]]),
        ("4", vec![&[(0.55, 0.25), (0.35, 0.53), (0.65, 0.53)], &[(0.57, 0.4), (0.56, 0.75)]]),
        ("open 4", vec![&[(0.38, 0.3), (0.37, 0.55), (0.65, 0.55)], &[(0.58, 0.25), (0.56, 0.78)]]),
        ("7", vec![&[(0.35, 0.27), (0.65, 0.27), (0.52, 0.75)]]),
        ("7 with a bar", vec![&[(0.35, 0.27), (0.65, 0.27), (0.55, 0.75)], &[(0.48, 0.5), (0.66, 0.5)]]),
        ("2 as a Z", vec![&[(0.35, 0.25), (0.65, 0.25), (0.35, 0.75), (0.66, 0.75)]]),
        (
            "8 of segments",
            vec![&[(0.38, 0.25), (0.62, 0.25), (0.62, 0.75), (0.38, 0.75), (0.38, 0.25)], &[(0.38, 0.5), (0.62, 0.5)]],
        ),
        ("5", vec![&[(0.64, 0.25), (0.38, 0.25), (0.38, 0.48), (0.62, 0.5), (0.62, 0.74), (0.36, 0.74)]]),
    ]
}

/// Rules of papers and forms.
fn rules(width: f32) -> Vec<(&'static str, Mask)> {
    let level = |y: f32| [(0.0, y), (1.0, y)];
    let upright = |x: f32| [(x, 0.0), (x, 1.0)];
    let paper = |places: &[[Place; 2]]| {
        let mut mask = Mask::empty(SIDE, SIDE);
        places.iter().for_each(|ends| draw(&mut mask, ends, width));
        mask
    };
    let frame = |(left, top): Place, (right, bottom): Place, lean: f32| {
        let corners = [(left, top), (right, top + lean), (right - lean, bottom + lean), (left - lean, bottom)];
        drawn(&[&[corners[0], corners[1], corners[2], corners[3], corners[0]]], width)
    };
    let lines: Vec<[Place; 2]> = (0..6).map(|line| level(0.02 + 0.19 * line as f32)).collect();
    let squares: Vec<[Place; 2]> =
        lines.iter().copied().chain((0..6).map(|line| upright(0.02 + 0.19 * line as f32))).collect();
    let dashes: Vec<[Place; 2]> = (0..12)
        .flat_map(|dash| {
            let (from, to) = (0.14 + 0.06 * dash as f32, 0.175 + 0.06 * dash as f32);
            [
                [(from, 0.14), (to, 0.14)],
                [(from, 0.86), (to, 0.86)],
                [(0.14, from), (0.14, to)],
                [(0.86, from), (0.86, to)],
            ]
        })
        .collect();
    vec![
        ("box", frame((0.15, 0.12), (0.85, 0.88), 0.0)),
        ("leaning box", frame((0.18, 0.12), (0.88, 0.83), 0.05)),
        ("dashed box", paper(&dashes)),
        ("rules", paper(&lines)),
        ("squares", paper(&squares)),
        ("underline", paper(&[[(0.2, 0.9), (0.8, 0.9)]])),
    ]
}

#[test]
fn strokes_of_digits_are_no_rules() {
    for (name, strokes) in digits() {
        for width in [2.0, 6.0, 14.0, 30.0] {
            let mask = drawn(&strokes, width);
            assert!(erased(&mask, false).is_none(), "{name} of {width} pixels");
        }
    }
}

#[test]
fn rules_are_erased_and_the_digits_on_them_stay() {
    for width in [2.0, 5.0, 8.0] {
        for (kind, rules) in rules(width) {
            for (name, strokes) in digits() {
                let digit = drawn(&strokes, 11.0);
                let mut both = digit.clone();
                let places = || (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
                places().filter(|&(x, y)| rules.at(x, y)).for_each(|(x, y)| both.set(x, y, true));
                let left = erased(&both, false).map_or_else(|| both.clone(), |(left, _)| left);
                let of_rules = places().filter(|&(x, y)| rules.at(x, y) && !digit.at(x, y));
                let (all, still) =
                    of_rules.fold((0, 0), |(all, still), (x, y)| (all + 1, still + usize::from(left.at(x, y))));
                let lost = places().filter(|&(x, y)| digit.at(x, y) && !left.at(x, y)).count();
                // Where a stroke touches a rule along it, one hides the other.
                assert!(still * 6 <= all, "{name} on {kind} of {width} pixels: {still} of {all} are left");
                assert!(
                    lost * 4 <= digit.count(),
                    "{name} on {kind} of {width} pixels: {lost} of {} lost",
                    digit.count()
                );
            }
        }
    }
}

#[test]
fn strokes_beside_the_sides_of_their_box_stay() {
    for (gap, width) in [8.0, 28.0].into_iter().flat_map(|gap| [6.0, 10.0].map(|width| (gap, width))) {
        let near = (15.0 + 3.0 + gap + width / 2.0) / SIDE as f32;
        let far = 1.0 - near;
        let strokes: [(&str, Vec<Vec<Place>>); 4] = [
            ("7", vec![vec![(near, near), (far, near), (0.4, far)]]),
            ("T", vec![vec![(near, near), (far, near)], vec![(0.5, near), (0.5, far)]]),
            ("Z", vec![vec![(near, near), (far, near), (near, far), (far, far)]]),
            ("4", vec![vec![(0.6, near), (near, 0.6), (far, 0.6)], vec![(0.65, 0.3), (0.65, far)]]),
        ];
        let sides: &[Place] = &[(0.05, 0.05), (0.95, 0.05), (0.95, 0.95), (0.05, 0.95), (0.05, 0.05)];
        for (name, strokes) in strokes {
            let strokes: Vec<&[Place]> = strokes.iter().map(Vec::as_slice).collect();
            let mut both = drawn(&strokes, width);
            let written = both.clone();
            draw(&mut both, sides, 6.0);
            let (left, _) = erased(&both, false).unwrap();
            let lost = (0..SIDE * SIDE).filter(|at| written.at(at % SIDE, at / SIDE) && !left.at(at % SIDE, at / SIDE));
            let (lost, still, all) = (lost.count(), left.count(), written.count());
            assert!(lost == 0 && still <= all + all / 20, "{name} of {width} pixels, {gap} from its box: {lost} lost");
        }
    }
}

#[test]
fn bars_near_the_edges_of_a_tight_crop_stay() {
    for width in [5.0, 10.0] {
        let seven: &[Place] = &[(0.03, 0.15), (0.97, 0.15), (0.4, 0.97)];
        let bar: [&[Place]; 2] = [&[(0.03, 0.2), (0.97, 0.2)], &[(0.5, 0.2), (0.5, 0.85)]];
        assert!(erased(&drawn(&[seven], width), false).is_none(), "7 of {width} pixels");
        assert!(erased(&drawn(&bar, width), false).is_none(), "T of {width} pixels");
    }
}

#[test]
fn forms_with_a_box_for_each_digit_leave_the_digits() {
    for (count, gap) in (2..=8).flat_map(|count| [(count, 0.0), (count, 0.02)]) {
        let side = 0.9 / count as f32;
        let mut mask = Mask::empty(SIDE, SIDE);
        for cell in 0..count {
            let (left, right) = (0.05 + cell as f32 * side, 0.05 + (cell + 1) as f32 * side - gap);
            let place = |x: f32, y: f32| (left + x * (right - left), 0.3 + y * side);
            draw(
                &mut mask,
                &[place(0.0, 0.0), place(1.0, 0.0), place(1.0, 1.0), place(0.0, 1.0), place(0.0, 0.0)],
                2.0,
            );
            draw(&mut mask, &[place(0.3, 0.25), place(0.7, 0.25), place(0.4, 0.75)], 3.0);
        }
        let (left, _) = erased(&mask, true).unwrap();
        assert_eq!(left.pieces().len(), count, "{count} boxes, {gap} apart");
    }
}

#[test]
fn a_grid_of_boxes_leaves_the_digits_in_it() {
    let mut mask = Mask::empty(SIDE, SIDE);
    let at = |line: usize| 0.04 + 0.1 * line as f32;
    for line in 0..10 {
        draw(&mut mask, &[(at(0), at(line)), (at(9), at(line))], 2.0);
        draw(&mut mask, &[(at(line), at(0)), (at(line), at(9))], 2.0);
    }
    let written = (0..81).filter(|cell| cell % 4 != 0);
    for (left, top) in written.clone().map(|cell| (at(cell % 9), at(cell / 9))) {
        draw(&mut mask, &[(left + 0.03, top + 0.025), (left + 0.07, top + 0.025), (left + 0.04, top + 0.075)], 3.0);
    }
    let (left, _) = erased(&mask, true).unwrap();
    assert_eq!(left.pieces().len(), written.count());
}

#[test]
fn what_is_outside_a_box_is_kept_or_counted() {
    let mut mask = drawn(&[&[(0.05, 0.2), (0.6, 0.2), (0.6, 0.8), (0.05, 0.8), (0.05, 0.2)]], 5.0);
    draw(&mut mask, &[(0.2, 0.35), (0.45, 0.35), (0.3, 0.65)], 8.0);
    draw(&mut mask, &[(0.7, 0.35), (0.9, 0.35), (0.8, 0.65)], 8.0);
    let large = |left: Mask| left.pieces().iter().filter(|piece| piece.bounds.longer() > 30).count();
    let pieces = |many| erased(&mask, many).map(|(left, outside)| (large(left), outside));
    assert_eq!((pieces(false), pieces(true)), (Some((1, 1)), Some((2, 0))));
}
