//! Pictures as SVG, for files and within pages.

use std::fmt::Write;

use super::colours::hex;
use super::{Anchor, Ink, Paint, Picture, Shape, WIDTH};

/// The fonts of text: the system's own.
pub const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";

/// Where a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Into {
    /// A file of its own: in the colours on white, and without what pointers tell.
    File,
    /// A page, whose style sheet has the colours.
    Page,
}

/// `picture` as an SVG file, on white.
pub fn file(picture: &Picture) -> String {
    let margin = 8.0;
    let (width, height) = (picture.width + 2.0 * margin, picture.height + 2.0 * margin);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" \
         xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{0}\" height=\"{1}\" viewBox=\"{2} {2} {0} {1}\" font-family=\"{FONTS}\">\n\
         <title>{3}</title>\n<rect x=\"{2}\" y=\"{2}\" width=\"{0}\" height=\"{1}\" fill=\"{4}\"/>\n",
        short(width),
        short(height),
        short(-margin),
        escaped(&picture.about),
        hex(Paint::Surface.on_white()),
    );
    shapes(&mut out, picture, Into::File);
    out + "</svg>\n"
}

/// `picture` as an element of a page; it is as wide as there is room, up to a little wider than it is. One that is narrower than a
/// chart keeps that proportion, so that the texts of both are of one size.
pub fn element(picture: &Picture) -> String {
    let mut out = opened(picture, (0.0, picture.width));
    shapes(&mut out, picture, Into::Page);
    out + "</svg>\n"
}

/// The same where it may be shown in pieces: the whole, whose shapes have this `id`, and the pieces, which refer to it.
pub fn element_and_pieces(picture: &Picture, width: f64, id: &str) -> (String, String) {
    let mut whole = opened(picture, (0.0, picture.width)) + &format!("<g id=\"{id}\">\n");
    shapes(&mut whole, picture, Into::Page);
    let count = (picture.width / width).ceil() as usize;
    let piece = |at: usize| opened(picture, (at as f64 * width, width)) + &format!("<use href=\"#{id}\"/></svg>\n");
    (whole + "</g></svg>\n", (0..count).map(piece).collect())
}

/// The tag of an element that shows so much of `picture`, from `left` on.
fn opened(picture: &Picture, (left, width): (f64, f64)) -> String {
    let share = (100.0 * width / WIDTH).min(100.0);
    format!(
        "<svg class=\"chart\" role=\"img\" viewBox=\"{} 0 {width} {}\" style=\"width:max({}%,min(100%,{width}px));max-width:{}px\" aria-label=\"{}\">",
        short(left),
        short(picture.height),
        short(share),
        short((width * 1.12).ceil()),
        escaped(&picture.about),
        width = short(width),
    )
}

fn shapes(out: &mut String, picture: &Picture, into: Into) {
    for shape in &picture.shapes {
        // Writing to a text cannot fail.
        let _ = write_shape(out, shape, into);
    }
}

fn write_shape(out: &mut String, shape: &Shape, into: Into) -> std::fmt::Result {
    match shape {
        Shape::Box(place, ink) => writeln!(out, "<rect {}{}/>", rectangle(place), filled(*ink, into)),
        Shape::Line { points, ink, width, dash } => {
            let dash = dash
                .map_or_else(String::new, |[on, off]| format!(" stroke-dasharray=\"{} {}\"", short(on), short(off)));
            let colour = coloured("stroke", *ink, into);
            let width = short(*width);
            writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\"{colour} stroke-width=\"{width}\" stroke-linejoin=\"round\"{dash}/>",
                listed(points)
            )
        }
        Shape::Area(points, ink) => writeln!(out, "<polygon points=\"{}\"{}/>", listed(points), filled(*ink, into)),
        Shape::Disc((x, y), radius, ink) => writeln!(
            out,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{}/>",
            short(*x),
            short(*y),
            short(*radius),
            filled(*ink, into)
        ),
        Shape::Text { at: (x, y), text, size, anchor, paint, upright } => {
            let (x, y) = (short(*x), short(*y));
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let turn = if *upright { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
            let (size, colour, text) = (short(*size), filled((*paint).into(), into), escaped(text));
            writeln!(out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{anchor}{turn}{colour}>{text}</text>")
        }
        Shape::Image(place, png) => {
            // Old readers know the prefixed name alone.
            let href = if into == Into::File { "xlink:href" } else { "href" };
            writeln!(
                out,
                "<image {} preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" {href}=\"data:image/png;base64,{}\"/>",
                rectangle(place),
                escaped(png)
            )
        }
        Shape::Tip(place, text) if into == Into::Page => {
            writeln!(out, "<rect class=\"tip\" {}><title>{}</title></rect>", rectangle(place), escaped(text))
        }
        Shape::Tip(..) => Ok(()),
    }
}

fn rectangle([left, top, width, height]: &[f64; 4]) -> String {
    format!(
        "x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
        short(*left),
        short(*top),
        short(width.max(0.0)),
        short(height.max(0.0))
    )
}

fn filled(ink: Ink, into: Into) -> String {
    coloured("fill", ink, into)
}

/// The attributes that colour what `what`, `fill` or `stroke`, stands for.
fn coloured(what: &str, Ink { paint, opacity }: Ink, into: Into) -> String {
    let colour = match into {
        Into::File => format!(" {what}=\"{}\"", hex(paint.on_white())),
        Into::Page => format!(" class=\"{what}-{}\"", paint.name()),
    };
    match opacity < 1.0 {
        true => format!("{colour} {what}-opacity=\"{}\"", short(opacity)),
        false => colour,
    }
}

fn listed(points: &[(f64, f64)]) -> String {
    let points = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    points.map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect::<Vec<_>>().join(" ")
}

/// A number with at most two digits behind the point; 0 for what is none.
fn short(value: f64) -> String {
    if !value.is_finite() {
        return "0".into();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// `text` as content or as a quoted attribute of XML and HTML. Characters that XML does not have become a mark.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            '\u{0}'..'\u{20}' | '\u{7f}'..'\u{a0}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

/// Checks that elements of XML are closed in order, and that no attribute or text holds what it must not. For tests.
#[cfg(test)]
pub(crate) fn check(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "a lone > before {:?}", &rest[start..rest.len().min(start + 60)]);
        for (at, _) in text.match_indices('&') {
            let end = text[at..].find(';').expect("an entity has an end");
            let name = &text[at + 1..at + end];
            assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "the entity {name:?}");
        }
        let mut quoted = false;
        let closes = |byte: u8| {
            quoted ^= byte == b'"';
            byte == b'>' && !quoted
        };
        let end = start + rest.as_bytes()[start..].iter().copied().position(closes).expect("a tag has an end");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        match tag.as_bytes() {
            [b'?', ..] => {}
            [b'/', name @ ..] => assert_eq!(open.pop().map(str::as_bytes), Some(name), "closed in order"),
            _ => {
                let name = tag.split([' ', '/']).next().unwrap_or_default();
                assert!(!name.is_empty() && !tag[1..].contains('<'), "{tag:?}");
                for value in tag.split('"').skip(1).step_by(2) {
                    assert!(!value.contains("NaN") && !value.contains("inf "), "{tag:?}");
                }
                if !tag.ends_with('/') {
                    open.push(name);
                }
            }
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_files_cannot_become_elements() {
        assert_eq!(escaped("<b>&\"'\u{1}é"), "&lt;b&gt;&amp;&quot;&#39;\u{fffd}é");
    }

    #[test]
    fn a_picture_is_well_formed_whatever_is_in_it() {
        let mut picture = Picture::new(100.0, 50.0, "a <picture> of \"it\"");
        picture.heading("5 > 3 & so on");
        picture.text((1.0, f64::NAN), "<script>", Anchor::Middle, Paint::Muted);
        picture.rule((0.0, 0.0), (f64::INFINITY, 3.0), Paint::Series(7).thin(0.5), 1.5);
        picture.add(Shape::Box([0.0, 0.0, -1.0, 2.0], Paint::Heat.thin(f64::NAN)));
        picture.add(Shape::Area(vec![(0.0, 1.0), (2.0, 3.333)], Paint::Grid.into()));
        picture.add(Shape::Tip([0.0; 4], "\"tip\"".into()));
        picture.add(Shape::Image([0.0; 4], "AAAA".into()));
        let (file, element) = (file(&picture), element(&picture));
        check(&file);
        check(&element);
        assert!(file.contains("#0072b2") || file.contains("#d55e00"), "{file}");
        assert!(element.contains("&quot;tip&quot;") && !file.contains("tip") && !element.contains('#'), "{element}");
        assert_eq!((short(-0.001), short(2.50), short(f64::NAN)), ("0".into(), "2.5".into(), "0".into()));
    }
}
