//! What parts a table's text into cells: what stands between them, and what quotes them.

use std::borrow::Cow;

use ::csv::ReaderBuilder;

use super::cells::Reading;
use super::is_number_with;

/// What may stand between cells, the likeliest first among those that part all lines alike.
pub(super) const DELIMITERS: [u8; 4] = [b'\t', b';', b'|', b','];

/// The head of a long file may end in the midst of a quoted cell, this far from its end at the most.
const CUT: usize = 1 << 16;

/// What parts text into cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Marks {
    /// What stands between cells.
    pub(super) delimiter: u8,
    /// Whether any number of blanks does.
    pub(super) blanks: bool,
    /// What begins and ends a cell of any characters.
    pub(super) quote: u8,
    /// Whether spaces may stand before a quote.
    pub(super) padded: bool,
}

impl Marks {
    /// A delimiter, and usual quotes at the very start of a cell.
    pub(super) fn of(delimiter: u8) -> Self {
        Self { delimiter, blanks: false, quote: b'"', padded: false }
    }

    /// Any number of blanks.
    pub(super) fn of_blanks() -> Self {
        Self { blanks: true, ..Self::of(b' ') }
    }

    /// The same for a file that begins with `text`, in which spaces stand before quotes, unless such a quote begins nothing there.
    pub(super) fn in_text(self, text: &[u8]) -> Self {
        let is_quote = |cell: Cell| match cell.closed {
            Closed::Never => text.len() > 8 * CUT && text.len() - cell.start < CUT,
            closed => closed != Closed::Early,
        };
        let spaced = Self { padded: true, ..self };
        let padded =
            || !self.has_spaces(text) || cells(text, spaced).filter(|cell| cell.content > cell.start).all(is_quote);
        Self { padded: !self.blanks && padded(), ..self }
    }

    /// What stands between cells, in a word.
    pub(super) fn name(self) -> &'static str {
        match self.delimiter {
            b',' => "a comma",
            b';' => "a semicolon",
            b'\t' => "a tab",
            b' ' => "a blank",
            b'|' => "|",
            _ => "what parts cells",
        }
    }

    /// What reads records of [`Marks::plain`] text.
    pub(super) fn reader(self) -> ReaderBuilder {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(self.delimiter).quote(self.quote);
        builder
    }

    /// The text of whole records as the reader takes it: without blanks that part nothing, or with those before a quote behind it, so
    /// that all lines stay where they are.
    pub(super) fn plain(self, text: &[u8]) -> Cow<'_, [u8]> {
        if self.blanks {
            return Cow::Owned(collapse(text));
        }
        if !self.padded || !self.has_spaces(text) {
            return Cow::Borrowed(text);
        }
        let mut plain = Cow::Borrowed(text);
        for cell in cells(text, self).filter(|cell| cell.closed != Closed::Bare && cell.content > cell.start) {
            plain.to_mut()[cell.start..cell.quoted].rotate_left(cell.content - cell.start);
        }
        plain
    }

    /// Whether a space stands before a quote somewhere.
    fn has_spaces(self, text: &[u8]) -> bool {
        memchr::memmem::find(text, &[b' ', self.quote]).is_some()
    }

    /// How many lines stand before that of a quote that is not closed in `text`, which ends with the file.
    pub(super) fn unclosed(self, text: &[u8]) -> Option<u64> {
        memchr::memchr(self.quote, text)?;
        let text = if self.blanks { Cow::Owned(collapse(text)) } else { Cow::Borrowed(text) };
        let content = cells(&text, self).find(|cell| cell.closed == Closed::Never)?.content;
        Some(memchr::memchr_iter(b'\n', &text[..content]).count() as u64)
    }

    /// Whether the first cell of all lines of `text` but the first is in quotes, though some number is not: so R writes names of rows.
    pub(super) fn quotes_names(self, text: &[u8]) -> bool {
        let text = self.plain(text);
        let mut bare = false;
        let quoted = cells(&text, self).filter(|cell| cell.line > 0).all(|cell| {
            bare |= cell.closed == Closed::Bare && is_number_with(text[cell.content..cell.end].trim_ascii(), false);
            !cell.is_first || cell.closed == Closed::Well || cell.end == cell.start
        });
        quoted && bare
    }
}

/// What quotes cells in a file that begins with `text`: single quotes where they are around all cells of text under the first line.
pub(super) fn quote(text: &[u8], delimiter: Option<u8>) -> u8 {
    let is_single = |delimiter: u8| {
        let marks = Marks { quote: b'\'', padded: true, ..Marks::of(delimiter) };
        let mut quoted = 0;
        let all = cells(text, marks).filter(|cell| cell.line > 0).all(|cell| {
            let bare = &text[cell.content..cell.end];
            quoted += usize::from(cell.closed == Closed::Well);
            match cell.closed {
                Closed::Well => true,
                Closed::Bare => {
                    is_number_with(bare.trim_ascii(), false) || Reading::default().is_missing(bare.trim_ascii())
                }
                Closed::Early | Closed::Never => false,
            }
        });
        all && quoted > 1
    };
    let delimiters = delimiter.as_slice();
    let found = memchr::memchr(b'\'', text).is_some()
        && (if delimiters.is_empty() { &DELIMITERS } else { delimiters }).iter().any(|byte| is_single(*byte));
    if found { b'\'' } else { b'"' }
}

/// How a cell ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Closed {
    /// It is not quoted.
    Bare,
    /// At its quote.
    Well,
    /// There is more after its quote.
    Early,
    /// Its quote has no end.
    Never,
}

/// A cell in some text.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Where it starts, and where what is in it does, after spaces.
    start: usize,
    content: usize,
    /// Where its quotes end, and where the cell does.
    quoted: usize,
    end: usize,
    closed: Closed,
    /// The number of its line, from 0; whether it is the line's first.
    line: usize,
    is_first: bool,
}

/// The cells of `text`.
fn cells(text: &[u8], marks: Marks) -> impl Iterator<Item = Cell> + '_ {
    let (mut at, mut line, mut is_first) = (0, 0, true);
    std::iter::from_fn(move || {
        let start = at;
        if start >= text.len() {
            return None;
        }
        let is_blank = |byte: &&u8| **byte == b' ' && marks.delimiter != b' ';
        let spaces = |from: usize| text[from..].iter().take_while(is_blank).count();
        let ends = |byte: u8| byte == marks.delimiter || matches!(byte, b'\n' | b'\r');
        let content = start + if marks.padded { spaces(start) } else { 0 };
        let (quoted, closed) = match text.get(content) {
            Some(byte) if *byte == marks.quote => match quote_end(text, content + 1, marks.quote) {
                Ok(after) => {
                    let well = text.get(after + spaces(after)).is_none_or(|byte| ends(*byte));
                    (after, if well { Closed::Well } else { Closed::Early })
                }
                Err(closed) => (text.len(), if closed { Closed::Well } else { Closed::Never }),
            },
            _ => (content, Closed::Bare),
        };
        let end = quoted + text[quoted..].iter().position(|byte| ends(*byte)).unwrap_or(text.len() - quoted);
        let cell = Cell { start, content, quoted, end, closed, line, is_first };
        is_first = text.get(end).is_some_and(|byte| *byte != marks.delimiter);
        at = end + 1;
        if is_first {
            line += 1;
            at += text[at..].iter().take_while(|byte| matches!(**byte, b'\n' | b'\r')).count();
        }
        Some(cell)
    })
}

/// Where the quote ends whose first character is at `at`; a doubled one is a character of it. Where the text ends first, whether it
/// does so with a quote, which may be the first of two.
pub(super) fn quote_end(text: &[u8], mut at: usize, quote: u8) -> Result<usize, bool> {
    loop {
        at += memchr::memchr(quote, &text[at..]).ok_or(false)? + 1;
        match text.get(at) {
            Some(byte) if *byte == quote => at += 1,
            Some(_) => return Ok(at),
            None => return Err(true),
        }
    }
}

/// Makes each run of blanks outside quotes one space, and none at the ends of a line.
fn collapse(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let (mut quoted, mut blank) = (false, false);
    for &byte in text {
        let at_start = matches!(plain.last(), None | Some(b'\n' | b'\r'));
        match byte {
            b' ' | b'\t' if !quoted => blank = !at_start,
            b'\n' | b'\r' if !quoted => {
                blank = false;
                plain.push(byte);
            }
            _ => {
                if std::mem::take(&mut blank) {
                    plain.push(b' ');
                }
                // A quote is special at the start of a cell, and one that is doubled is special twice.
                quoted ^= byte == b'"' && (quoted || matches!(plain.last(), None | Some(b'\n' | b'\r' | b' ')));
                plain.push(byte);
            }
        }
    }
    plain
}
