//! Text: how wide it is, and its outlines where there are no fonts. Both are of the embedded font, a part of Roboto (Apache-2.0) with
//! Latin, Greek and Cyrillic letters; browsers draw SVG with their own, which is about as wide.

use std::borrow::Cow;
use std::sync::OnceLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

static FONT: &[u8] = include_bytes!("../../../assets/fonts/Roboto-Regular-subset.ttf");

/// What stands for a character that the font lacks.
const UNKNOWN: char = '\u{fffd}';

fn face() -> Option<&'static Face<'static>> {
    static FACE: OnceLock<Option<Face<'static>>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(FONT, 0).ok()).as_ref()
}

fn glyph(face: &Face<'_>, character: char) -> Option<GlyphId> {
    face.glyph_index(character).or_else(|| face.glyph_index(UNKNOWN))
}

/// The width of `text` of this height, in pixels. Wide characters that the font lacks, such as Chinese ones, count as squares.
pub fn width(text: &str, size: f64) -> f64 {
    let Some(face) = face() else { return text.chars().count() as f64 * size * 0.55 };
    let scale = size / f64::from(face.units_per_em());
    let advance = |character: char| match face.glyph_index(character) {
        Some(glyph) => f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * scale,
        None => size,
    };
    text.chars().map(advance).sum()
}

/// The room that `text` of this height needs: browsers take fonts of their own, some of which are wider by a fifth.
pub fn room(text: &str, size: f64) -> f64 {
    width(text, size) * 1.2
}

/// `text` so that it needs no more room than `most` pixels, with an ellipsis where it is cut.
pub fn cut(text: &str, most: f64, size: f64) -> Cow<'_, str> {
    if room(text, size) <= most {
        return Cow::Borrowed(text);
    }
    let most = most - room("…", size);
    let mut used = 0.0;
    let fits = |character: &char| {
        used += room(character.encode_utf8(&mut [0; 4]), size);
        used <= most
    };
    let kept: String = text.chars().take_while(fits).collect();
    Cow::Owned(format!("{}…", kept.trim_end()))
}

/// What takes the outlines of characters, with `y` downwards.
pub trait Outline {
    /// A new line begins.
    fn begin(&mut self, to: (f64, f64));
    /// It goes on straight.
    fn line(&mut self, to: (f64, f64));
    /// It goes on by a curve with one control point.
    fn quadratic(&mut self, by: (f64, f64), to: (f64, f64));
    /// It goes on by a curve with two.
    fn cubic(&mut self, by: (f64, f64), and: (f64, f64), to: (f64, f64));
    /// It ends where it began.
    fn close(&mut self);
}

/// Hands the outlines of `text` of this height, whose baseline begins at 0, 0, to `outline`.
pub fn outline(text: &str, size: f64, outline: &mut impl Outline) {
    let Some(face) = face() else { return };
    let scale = size / f64::from(face.units_per_em());
    let mut left = 0.0;
    for character in text.chars() {
        let Some(glyph) = glyph(face, character) else { continue };
        face.outline_glyph(glyph, &mut Scaled { outline, scale, left });
        left += width(character.encode_utf8(&mut [0; 4]), size);
    }
}

struct Scaled<'a, O> {
    outline: &'a mut O,
    scale: f64,
    left: f64,
}

impl<O> Scaled<'_, O> {
    fn point(&self, x: f32, y: f32) -> (f64, f64) {
        (self.left + f64::from(x) * self.scale, -f64::from(y) * self.scale)
    }
}

impl<O: Outline> OutlineBuilder for Scaled<'_, O> {
    fn move_to(&mut self, x: f32, y: f32) {
        let to = self.point(x, y);
        self.outline.begin(to);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let to = self.point(x, y);
        self.outline.line(to);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let (by, to) = (self.point(x1, y1), self.point(x, y));
        self.outline.quadratic(by, to);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let (by, and, to) = (self.point(x1, y1), self.point(x2, y2), self.point(x, y));
        self.outline.cubic(by, and, to);
    }

    fn close(&mut self) {
        self.outline.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_the_width_of_its_characters_and_is_cut_to_fit() {
        assert!(face().is_some());
        assert!((width("il", 12.0) + width("mm", 12.0) - width("ilmm", 12.0)).abs() < 1e-9);
        assert!(width("i", 12.0) < width("m", 12.0) && width("漢", 12.0) == 12.0);
        assert_eq!(cut("short", 100.0, 12.0), "short");
        let cut = cut("a name that is much too long", 60.0, 12.0);
        assert!(cut.ends_with('…') && cut.len() > 5 && room(&cut, 12.0) <= 60.0, "{cut}");
    }

    #[test]
    fn all_that_charts_write_is_in_the_font() {
        let face = face().expect("the font");
        let all = (' '..='~').chain("−×…–≤·äöüßéñçøλμσΩЖя⁰¹²³⁴⁵⁶⁷⁸⁹⁻±²".chars());
        let lost: String = all.filter(|character| face.glyph_index(*character).is_none()).collect();
        assert_eq!(lost, "");
    }
}
