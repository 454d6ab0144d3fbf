//! The colours of charts: a few roles, each with a tone on white and one on black. The tones of series are those of Okabe and Ito,
//! which people with any colour vision tell apart; on black they are lighter.

/// What a colour is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// What is below everything.
    Surface,
    /// Text and what matters.
    Ink,
    /// Text and lines that matter less.
    Muted,
    /// Lines that help the eye.
    Grid,
    /// A series, by its number; of more than there are, they begin anew.
    Series(usize),
    /// Large numbers in a heat map; the opacity says how large.
    Heat,
}

/// A role: its name in style sheets, and its tones on white and on black.
pub type Tone = (&'static str, [u8; 3], [u8; 3]);

const SURFACE: Tone = ("surface", [255, 255, 255], [21, 25, 30]);
const INK: Tone = ("ink", [27, 31, 36], [230, 234, 238]);
const MUTED: Tone = ("muted", [90, 99, 109], [158, 168, 179]);
const GRID: Tone = ("grid", [224, 228, 233], [47, 54, 62]);
const HEAT: Tone = ("heat", [8, 88, 148], [98, 182, 243]);
const SERIES: [Tone; 6] = [
    ("blue", [0, 114, 178], [86, 180, 233]),
    ("red", [213, 94, 0], [255, 142, 84]),
    ("green", [0, 143, 104], [52, 203, 160]),
    ("purple", [179, 82, 140], [226, 147, 194]),
    ("yellow", [184, 127, 0], [240, 190, 70]),
    ("grey", [110, 118, 128], [170, 178, 188]),
];

/// Number of series that have a colour of their own.
pub const DISTINCT: usize = SERIES.len();

/// All roles.
pub fn tones() -> impl Iterator<Item = Tone> {
    [SURFACE, INK, MUTED, GRID, HEAT].into_iter().chain(SERIES)
}

impl Paint {
    fn tone(self) -> Tone {
        match self {
            Self::Surface => SURFACE,
            Self::Ink => INK,
            Self::Muted => MUTED,
            Self::Grid => GRID,
            Self::Heat => HEAT,
            Self::Series(number) => SERIES[number % DISTINCT],
        }
    }

    /// Its name in style sheets.
    pub fn name(self) -> &'static str {
        self.tone().0
    }

    /// Its tone on white: red, green, blue.
    pub fn on_white(self) -> [u8; 3] {
        self.tone().1
    }
}

/// A colour as style sheets have it.
pub fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast of two colours, as WCAG 2.1 defines it.
    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let luminance = |colour: [u8; 3]| {
            let linear = |value: u8| {
                let share = f64::from(value) / 255.0;
                if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
            };
            let [red, green, blue] = colour.map(linear);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_series_stand_out_in_both_schemes() {
        for (name, on_white, on_black) in [INK, MUTED] {
            assert!(contrast(on_white, SURFACE.1) >= 4.5 && contrast(on_black, SURFACE.2) >= 4.5, "{name}");
        }
        for (name, on_white, on_black) in SERIES.into_iter().chain([HEAT]) {
            assert!(contrast(on_white, SURFACE.1) >= 3.0 && contrast(on_black, SURFACE.2) >= 3.0, "{name}");
        }
    }
}
