//! Finding writing in an image of any kind: drawn or photographed, dark on light or light on dark, in uneven light, in boxes and on
//! ruled paper.

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Luma};

use super::Plane;
use super::filters::{opened, otsu, quantile, spread};
use super::ground::Ground;
use super::mask::{Bounds, Mask, Piece};
use super::rules;

/// The longer side of the image in which ink is looked for, in pixels.
pub(super) const WORKING: u32 = 400;
/// The same where the image holds many pieces of writing.
pub(super) const WORKING_ON_MANY: u32 = 1000;
/// The share of full light below which shade is not made up for: there is more noise than ink.
const DARKEST: f32 = 0.3;
/// The least difference in brightness, of 255, between ink and background.
const CONTRAST: f32 = 16.0;

/// The ink of an image.
pub(super) struct Ink {
    /// By how much each place differs from the ground, in brightness.
    plane: Plane,
    /// Where it is more than that of the ground and its noise.
    mask: Mask,
    /// That of a stroke's middle.
    full: f32,
    /// The pieces of the size of writing that are left out around a box.
    pub(super) outside: usize,
}

impl Ink {
    /// The ink of `image` without boxes and rules; that of `many` pieces of writing, or of one that a box may be around. None where
    /// nothing stands out.
    pub(super) fn of(image: &GrayImage, many: bool) -> Option<Self> {
        let working = if many { WORKING_ON_MANY } else { WORKING };
        let brightness = scaled(image, working);
        let dark = is_dark_on_light(&brightness);
        // Broad strokes in a narrow frame are as much of it as their ground, and may be taken for it.
        Self::standing_out(&brightness, dark, many).or_else(|| Self::standing_out(&brightness, !dark, many))
    }

    /// The ink that is darker than its ground if `dark`, or else lighter.
    fn standing_out(brightness: &Plane, dark: bool, many: bool) -> Option<Self> {
        let mut plane = contrast(brightness, dark);
        let Levels { least, threshold, full } = levels(&plane)?;
        let mask = Mask::of(&plane, threshold);
        // Beside dark rules writing may be faint, and beside dark writing rules.
        let faint = || Mask::of(&plane, least);
        let erased = |mask: &Mask| rules::erased(mask, many).map(|(left, outside)| (mask.clone(), left, outside));
        let Some((mask, left, outside)) = erased(&mask).or_else(|| erased(&faint())) else {
            return Some(Self { plane, mask, full, outside: 0 });
        };
        // Soft edges of what is erased go with it.
        for (x, y, pixel) in plane.enumerate_pixels_mut() {
            let (x, y) = (x as usize, y as usize);
            let soft = || mask.is_near(x, y) && !left.is_near(x, y);
            if !left.at(x, y) && (mask.at(x, y) || soft()) {
                pixel[0] = 0.0;
            }
        }
        let Levels { threshold, full, .. } = levels(&plane)?;
        let mask = Mask::of(&plane, threshold);
        Some(Self { plane, mask, full, outside })
    }

    /// The amount of ink at each place, from 0 to 1, of these pieces, cropped to the box that holds them.
    pub(super) fn cropped(&self, pieces: &[Piece]) -> Option<Plane> {
        let bounds = pieces.iter().map(|piece| piece.bounds).reduce(Bounds::with)?;
        let mut kept = Mask::empty(self.mask.width, self.mask.height);
        pieces.iter().flat_map(|piece| &piece.places).for_each(|&(x, y)| kept.set(x, y, true));
        // Soft edges reach below the threshold, but no further than a pixel from what is above it.
        Some(ImageBuffer::from_fn(bounds.width() as u32, bounds.height() as u32, |x, y| {
            let (x, y) = (x as usize + bounds.left, y as usize + bounds.top);
            let value = self.plane.get_pixel(x as u32, y as u32)[0];
            Luma([if kept.is_near(x, y) { (value / self.full).clamp(0.0, 1.0) } else { 0.0 }])
        }))
    }

    /// The pieces that are writing. Specks are not, nor are objects that reach in from the edge beside writing that does not
    /// touch it.
    pub(super) fn pieces(&self) -> Vec<Piece> {
        let Mask { width, height, .. } = self.mask;
        let weighed = |piece: Piece| {
            let mass: f32 = piece.places.iter().map(|&(x, y)| self.plane.get_pixel(x as u32, y as u32)[0]).sum();
            let Bounds { left, top, right, bottom } = piece.bounds;
            (mass, left == 0 || top == 0 || right + 1 == width || bottom + 1 == height, piece)
        };
        let pieces: Vec<(f32, bool, Piece)> = self.mask.pieces().into_iter().map(weighed).collect();
        let heaviest = |edge: bool| {
            let masses = pieces.iter().filter(|(_, at_edge, _)| edge || !at_edge).map(|&(mass, ..)| mass);
            masses.fold(0.0, f32::max)
        };
        let (inner, all) = (heaviest(false), heaviest(true));
        let (inside, least) = if inner > all / 50.0 { (true, inner / 20.0) } else { (false, all / 20.0) };
        let kept = |(mass, at_edge, _): &(f32, bool, Piece)| *mass >= least && !(inside && *at_edge);
        pieces.into_iter().filter(kept).map(|(.., piece)| piece).collect()
    }
}

/// The brightness of `image` from 0 to 1, of at most `working` pixels along the longer side, without the noise of single pixels.
fn scaled(image: &GrayImage, working: u32) -> Plane {
    let longer = image.width().max(image.height());
    let scale = |side: u32| ((u64::from(side) * u64::from(working)).div_ceil(u64::from(longer)) as u32).max(1);
    // From 0 to 1 because the library's resizing and blurring clip other values.
    let brightness = |x, y| Luma([f32::from(image.get_pixel(x, y)[0]) / 255.0]);
    let plane: Plane = ImageBuffer::from_fn(image.width(), image.height(), brightness);
    let plane = if longer > working {
        imageops::resize(&plane, scale(image.width()), scale(image.height()), FilterType::Triangle)
    } else {
        plane
    };
    // In a small image strokes are single pixels.
    let blur = (plane.width().max(plane.height()) as f32 / WORKING as f32).max(1.0);
    if is_small(&plane) { plane } else { imageops::blur(&plane, blur) }
}

/// Whether an image is drawn and not photographed.
fn is_small(plane: &Plane) -> bool {
    plane.width().max(plane.height()) < WORKING / 2
}

/// By how much each place differs from its ground: is darker if `dark`, or else lighter.
fn contrast(brightness: &Plane, dark: bool) -> Plane {
    let sign = if dark { -255.0 } else { 255.0 };
    let mut ink = brightness.clone();
    ink.iter_mut().for_each(|value| *value *= sign);
    // A top-hat filter removes what is broader than strokes can be, and the edges of shadows. The uneven light that is left
    // is smooth. The strokes of small images may be as broad as the window.
    if !is_small(brightness) {
        let under = opened(&ink, ink.width().max(ink.height()) / 4);
        // In shade ink differs less, by as much as there is less light.
        let light = |under: f32| if dark { (-under / 255.0).clamp(DARKEST, 1.0) } else { 1.0 };
        ink.iter_mut().zip(under.iter()).for_each(|(value, under)| *value = (*value - under) / light(*under));
    }
    Ground::fit(&ink).taken_from(&ink)
}

/// Contrasts with the ground.
struct Levels {
    /// Beyond noise.
    least: f32,
    /// From which on there is ink.
    threshold: f32,
    /// That of a stroke's middle.
    full: f32,
}

/// The contrasts in `ink`; none where nothing stands out.
fn levels(ink: &Plane) -> Option<Levels> {
    let least = (4.0 * spread(ink.as_raw())).max(CONTRAST / 2.0);
    let threshold = otsu(ink.as_raw()).max(least);
    let full = quantile(ink.as_raw().iter().copied().filter(|&value| value > threshold), 0.6)?;
    (full >= CONTRAST).then_some(Levels { least, threshold, full })
}

/// Whether writing is darker than its ground. Strokes cover less of any place than their ground does, so they are what
/// differs most from the mean around it.
fn is_dark_on_light(plane: &Plane) -> bool {
    let (width, height) = plane.dimensions();
    let part = (width.max(height) / 4).max(1);
    let means = imageops::resize(plane, width.div_ceil(part), height.div_ceil(part), FilterType::Triangle);
    let means = imageops::resize(&means, width, height, FilterType::Triangle);
    let differences = || plane.iter().zip(means.iter()).map(|(value, mean)| value - mean);
    let extreme = |share| quantile(differences(), share).unwrap_or(0.0).abs();
    extreme(0.001) > extreme(0.999)
}
