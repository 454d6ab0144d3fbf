//! Colours and characters of the screen, as the environment allows them.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;

use crate::backend::Split;

/// What the screen is drawn with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    colour: bool,
    unicode: bool,
}

impl Theme {
    /// Without colours where NO_COLOR is set, and of ASCII alone where the locale is not UTF-8.
    pub(super) fn of_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let named = locale.map(|name| name.to_string_lossy().to_ascii_uppercase().replace('-', ""));
        let unicode = cfg!(windows) || named.is_some_and(|name| name.ends_with("UTF8"));
        Self::new(set("NO_COLOR").is_none(), unicode)
    }

    pub(super) fn new(colour: bool, unicode: bool) -> Self {
        Self { colour, unicode }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// Of what matters.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Of what matters less.
    pub(super) fn muted(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Of the figures of a part.
    pub(super) fn part(self, split: Split) -> Style {
        self.coloured(match split {
            Split::Train => Color::Cyan,
            Split::Validation => Color::Yellow,
            Split::Test => Color::Magenta,
        })
    }

    /// The dots of a part's curve. Where there are no colours they tell the parts apart.
    pub(super) fn marker(self, split: Split) -> Marker {
        match split {
            Split::Validation if !self.colour => Marker::Dot,
            Split::Test if !self.colour => Marker::Custom('×'),
            _ => Marker::Braille,
        }
    }

    /// A part's name; before it the dots of its curve, where its colour does not say which that is.
    pub(super) fn label(self, split: Split) -> String {
        let sign = match split {
            _ if self.colour => return split.name().into(),
            Split::Train => '⠒',
            Split::Validation => '•',
            Split::Test => '×',
        };
        format!("{sign} {}", split.name())
    }

    /// Of a cell of a confusion matrix that holds this share of its class: on the diagonal a hit, otherwise a mistake.
    pub(super) fn cell(self, share: f64, hit: bool) -> Style {
        match (hit, share) {
            (_, 0.0) => self.muted(),
            (true, _) => self.coloured(Color::Green).add_modifier(Modifier::BOLD),
            (false, 0.1..) => self.coloured(Color::Red).add_modifier(Modifier::BOLD),
            (false, 0.02..) => self.coloured(Color::Yellow),
            (false, _) => Style::new(),
        }
    }

    /// Replaces what a terminal cannot show.
    pub(super) fn fit(self, buffer: &mut Buffer) {
        if self.unicode {
            return;
        }
        for cell in &mut buffer.content {
            if let Some(other) = cell.symbol().chars().next().filter(|character| !character.is_ascii()) {
                cell.set_char(ascii(other));
            }
        }
    }
}

/// A character for a share from 0 to 1.
pub(super) fn shade(share: f64) -> char {
    if share > 0.0 { ['░', '▒', '▓', '█'][((share * 4.0) as usize).min(3)] } else { '·' }
}

/// A character for a height from 0 to 1, of a small chart in a line.
pub(super) fn level(height: f64) -> char {
    ['▁', '▂', '▃', '▄', '▅', '▆', '▇'][((height.clamp(0.0, 1.0) * 7.0) as usize).min(6)]
}

/// The nearest character of ASCII.
fn ascii(other: char) -> char {
    match other {
        '─' | '▃' | '▄' => '-',
        '│' => '|',
        '└' => '+',
        '•' => 'o',
        '×' => 'x',
        '·' | '▂' => '.',
        '▁' => '_',
        '░' => ':',
        '▒' | '▅' => '=',
        '▓' | '▆' => '%',
        '█' | '▇' => '#',
        '\u{2800}'..='\u{28ff}' => '*',
        _ => '?',
    }
}
