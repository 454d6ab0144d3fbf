//! Augmentation of images: how far training shifts, turns, scales and bends them, as recipes and the command line say it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How far training moves the pixels of each image, drawn anew for each row of each step. All are 0 where nothing is moved.
///
/// Its text is `shift:2,rotate:15,scale:0.15,elastic:4` or a part of that, and `none` where nothing is moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Augment {
    /// The most pixels that an image is shifted, along each axis.
    pub shift: f64,
    /// The most degrees that it is turned, either way.
    pub rotate: f64,
    /// How far the factors by which its width and height are scaled may be from 1.
    pub scale: f64,
    /// The most pixels that a point of the grid of its elastic distortion is displaced, along each axis.
    pub elastic: f64,
}

/// Pixels of `elastic` without a number. Beside the other three, 2.5 trains as well on MNIST, and 5.5 worse.
const ELASTIC: f64 = 4.0;

/// The most pixels of a shift or a displacement: the longest side of an image that is read.
const MOST_PIXELS: f64 = 16_384.0;

impl Augment {
    /// Whether it leaves images as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Augment {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { shift, rotate, scale, elastic } = *self;
        let all = [("shift", shift), ("rotate", rotate), ("scale", scale), ("elastic", elastic)];
        let parts: Vec<_> =
            all.iter().filter(|(_, most)| *most > 0.0).map(|(name, most)| format!("{name}:{most}")).collect();
        formatter.write_str(if parts.is_empty() { "none".into() } else { parts.join(",") }.as_str())
    }
}

impl FromStr for Augment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut augment = Self::default();
        if ["", "none"].contains(&text.trim()) {
            return Ok(augment);
        }
        let mut seen = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (name, number) = part.split_once(':').map_or((part, None), |(name, number)| (name, Some(number)));
            let pixels = |value: &f64| (0.0..=MOST_PIXELS).contains(value);
            let (most, usual, fits, allowed): (_, _, fn(&f64) -> bool, _) = match name {
                "shift" => (&mut augment.shift, None, pixels, "pixels from 0 on, such as shift:2"),
                "rotate" => {
                    let fits = |value: &f64| (0.0..=180.0).contains(value);
                    (&mut augment.rotate, None, fits, "degrees from 0 to 180, such as rotate:15")
                }
                "scale" => {
                    let fits = |value: &f64| (0.0..1.0).contains(value);
                    (&mut augment.scale, None, fits, "a share from 0 on and below 1, such as scale:0.15")
                }
                "elastic" => {
                    let allowed = "pixels from 0 on, such as elastic:4, or elastic alone";
                    (&mut augment.elastic, Some(ELASTIC), pixels, allowed)
                }
                _ => {
                    return Err(format!(
                        "{name:?} is none of them: give shift:PIXELS, rotate:DEGREES, scale:SHARE, elastic[:PIXELS], any of \
                         these with commas between them, or none"
                    ));
                }
            };
            if seen.contains(&name) {
                return Err(format!("{name} is given twice: give it once"));
            }
            seen.push(name);
            let value = number.map_or(usual, |number| number.parse().ok());
            *most = value.filter(fits).ok_or_else(|| format!("{part}: give {allowed}"))?;
        }
        Ok(augment)
    }
}

impl From<Augment> for String {
    fn from(augment: Augment) -> Self {
        augment.to_string()
    }
}

impl TryFrom<String> for Augment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn its_text_reads_back() {
        let all = Augment { shift: 2.0, rotate: 15.0, scale: 0.15, elastic: ELASTIC };
        for (text, augment, shown) in [
            ("shift:2,rotate:15,scale:0.15,elastic", all, "shift:2,rotate:15,scale:0.15,elastic:4"),
            ("elastic:2.5, shift:1", Augment { shift: 1.0, elastic: 2.5, ..Augment::default() }, "shift:1,elastic:2.5"),
            ("rotate:180", Augment { rotate: 180.0, ..Augment::default() }, "rotate:180"),
            ("shift:0", Augment::default(), "none"),
            ("none", Augment::default(), "none"),
            ("", Augment::default(), "none"),
        ] {
            let read: Augment = text.parse().unwrap();
            assert_eq!((read, read.to_string().as_str(), read.is_none()), (augment, shown, shown == "none"), "{text}");
            assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    #[test]
    fn what_it_cannot_be_is_refused_with_what_it_may_be() {
        for (text, expected) in [
            ("flip", "shift:PIXELS, rotate:DEGREES, scale:SHARE, elastic[:PIXELS]"),
            ("shift:2,,scale:0.1", "shift:PIXELS"),
            ("shift", "pixels from 0 on"),
            ("shift:-1", "pixels from 0 on"),
            ("shift:1e300", "pixels from 0 on"),
            ("rotate:181", "degrees from 0 to 180"),
            ("rotate:NaN", "degrees from 0 to 180"),
            ("scale:1", "below 1"),
            ("scale:inf", "below 1"),
            ("elastic:", "elastic alone"),
            ("elastic,shift:1,elastic:2", "elastic is given twice"),
        ] {
            let error = text.parse::<Augment>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
