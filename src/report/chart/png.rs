//! Pictures as PNG, in the colours on white, three pixels for each of the picture's. Text is drawn by outlines, so that no font need
//! be installed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint as Brush, PathBuilder, Pixmap, PremultipliedColorU8, Rect, Stroke,
    StrokeDash, Transform,
};

use super::{Anchor, Ink, Paint, Picture, Shape, text};
use crate::error::{Error, Result};
use crate::preview;

/// Pixels for each of the picture's.
const SCALE: f32 = 3.0;
/// What is left free around the picture, in its pixels.
const MARGIN: f64 = 8.0;
/// The most pixels of a side.
const MOST: f64 = 16_384.0;

/// `picture` as the bytes of a PNG.
///
/// # Errors
/// [`Error::Data`] for a picture that is too large.
pub fn file(picture: &Picture) -> Result<Vec<u8>> {
    let side = |length: f64| ((length + 2.0 * MARGIN) * f64::from(SCALE)).ceil();
    let (width, height) = (side(picture.width), side(picture.height));
    let fits = |side: f64| (1.0..=MOST).contains(&side);
    let canvas = (fits(width) && fits(height)).then(|| Pixmap::new(width as u32, height as u32)).flatten();
    let Some(mut canvas) = canvas else {
        return Err(Error::Data(format!("a picture of {width} x {height} pixels is too large for a PNG: take SVG")));
    };
    canvas.fill(colour(Paint::Surface.into()));
    let place = Transform::from_scale(SCALE, SCALE).pre_translate(MARGIN as f32, MARGIN as f32);
    for shape in &picture.shapes {
        draw(&mut canvas, shape, place);
    }
    // All is opaque: the surface is.
    let pixels: Vec<u8> = canvas.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
    preview::encoded(&pixels, (height as usize, width as usize))
}

fn draw(canvas: &mut Pixmap, shape: &Shape, place: Transform) {
    match shape {
        Shape::Box([left, top, width, height], ink) => {
            let rectangle = Rect::from_xywh(*left as f32, *top as f32, *width as f32, *height as f32);
            if let Some(rectangle) = rectangle {
                canvas.fill_rect(rectangle, &brush(*ink), place, None);
            }
        }
        Shape::Line { points, ink, width, dash } => {
            let dash = dash.and_then(|[on, off]| StrokeDash::new(vec![on as f32, off as f32], 0.0));
            let (line_cap, line_join) = (LineCap::Butt, LineJoin::Round);
            let stroke = Stroke { width: *width as f32, line_cap, line_join, dash, ..Stroke::default() };
            if let Some(path) = path(points, false) {
                canvas.stroke_path(&path, &brush(*ink), &stroke, place, None);
            }
        }
        Shape::Area(points, ink) => {
            if let Some(path) = path(points, true) {
                canvas.fill_path(&path, &brush(*ink), FillRule::Winding, place, None);
            }
        }
        Shape::Disc((x, y), radius, ink) => {
            if let Some(path) = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32) {
                canvas.fill_path(&path, &brush(*ink), FillRule::Winding, place, None);
            }
        }
        Shape::Text { at: (x, y), text: content, size, anchor, paint, upright } => {
            let back = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => 0.5,
                Anchor::End => 1.0,
            };
            let mut outline = Outline(PathBuilder::new());
            text::outline(content, *size, &mut outline);
            let turn = if *upright { Transform::from_rotate(-90.0) } else { Transform::identity() };
            let shift = -(back * text::width(content, *size)) as f32;
            let place = place.pre_translate(*x as f32, *y as f32).pre_concat(turn).pre_translate(shift, 0.0);
            if let Some(path) = outline.0.finish() {
                canvas.fill_path(&path, &brush((*paint).into()), FillRule::Winding, place, None);
            }
        }
        Shape::Image(to, png) => image(canvas, to, png),
        Shape::Tip(..) => {}
    }
}

/// Draws a PNG in base64, each of its pixels as a block. One that cannot be read is left out.
fn image(canvas: &mut Pixmap, [left, top, width, height]: &[f64; 4], png: &str) {
    let Some(image) = BASE64.decode(png).ok().and_then(|bytes| image::load_from_memory(&bytes).ok()) else { return };
    let image = image.to_rgb8();
    let scaled = |value: f64| ((value + MARGIN) * f64::from(SCALE)).round().max(0.0) as u32;
    let ((first, last), (above, below)) = ((scaled(*left), scaled(left + width)), (scaled(*top), scaled(top + height)));
    let (columns, rows) = (last.saturating_sub(first).max(1), below.saturating_sub(above).max(1));
    let whole = canvas.width();
    for y in above..below.min(canvas.height()) {
        for x in first..last.min(whole) {
            let from = ((x - first) * image.width() / columns, (y - above) * image.height() / rows);
            let [red, green, blue] = image.get_pixel(from.0, from.1).0;
            if let Some(pixel) = PremultipliedColorU8::from_rgba(red, green, blue, 255) {
                canvas.pixels_mut()[(y * whole + x) as usize] = pixel;
            }
        }
    }
}

/// The path through `points`; none of fewer than two.
fn path(points: &[(f64, f64)], closed: bool) -> Option<tiny_skia::Path> {
    let mut builder = PathBuilder::new();
    for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
        let (x, y) = (*x as f32, *y as f32);
        if builder.is_empty() { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

fn colour(Ink { paint, opacity }: Ink) -> Color {
    let [red, green, blue] = paint.on_white();
    Color::from_rgba8(red, green, blue, (opacity * 255.0).round() as u8)
}

fn brush(ink: Ink) -> Brush<'static> {
    let mut brush = Brush::default();
    brush.set_color(colour(ink));
    brush
}

struct Outline(PathBuilder);

impl text::Outline for Outline {
    fn begin(&mut self, (x, y): (f64, f64)) {
        self.0.move_to(x as f32, y as f32);
    }

    fn line(&mut self, (x, y): (f64, f64)) {
        self.0.line_to(x as f32, y as f32);
    }

    fn quadratic(&mut self, by: (f64, f64), to: (f64, f64)) {
        self.0.quad_to(by.0 as f32, by.1 as f32, to.0 as f32, to.1 as f32);
    }

    fn cubic(&mut self, by: (f64, f64), and: (f64, f64), to: (f64, f64)) {
        self.0.cubic_to(by.0 as f32, by.1 as f32, and.0 as f32, and.1 as f32, to.0 as f32, to.1 as f32);
    }

    fn close(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_text_leave_their_colours_where_they_are() {
        let mut picture = Picture::new(60.0, 20.0, "");
        picture.add(Shape::Box([0.0, 0.0, 10.0, 10.0], Paint::Series(0).into()));
        picture.text((20.0, 15.0), "H", Anchor::Start, Paint::Ink);
        picture.rule((40.0, f64::NAN), (50.0, 3.0), Paint::Ink, 1.0);
        let tile = preview::encoded(&[255, 0, 0, 0, 255, 0], (1, 2)).unwrap();
        picture.add(Shape::Image([50.0, 0.0, 8.0, 4.0], BASE64.encode(tile)));
        let image = image::load_from_memory(&file(&picture).unwrap()).unwrap().to_rgb8();
        assert_eq!(image.dimensions(), (228, 108));
        let at = |x: f64, y: f64| image.get_pixel(((x + 8.0) * 3.0) as u32, ((y + 8.0) * 3.0) as u32).0;
        assert_eq!((at(5.0, 5.0), at(15.0, 5.0)), (Paint::Series(0).on_white(), [255; 3]));
        assert_eq!((at(51.0, 1.0), at(57.0, 1.0)), ([255, 0, 0], [0, 255, 0]));
        let dark = (20..30).flat_map(|x| (5..16).map(move |y| (x, y)));
        assert!(dark.filter(|(x, y)| at(f64::from(*x), f64::from(*y))[0] < 100).count() > 10, "an H is seen");
        assert!(file(&Picture::new(1e5, 10.0, "")).is_err());
    }
}
