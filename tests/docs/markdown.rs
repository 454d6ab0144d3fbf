//! What a page holds: its blocks of code, its headings and its links.

/// A block of code.
pub struct Block {
    /// The line of the page on which it begins, from 1 on.
    pub line: usize,
    /// What stands behind the fence; `indented` of blocks that have none.
    pub info: String,
    /// Its lines.
    pub lines: Vec<String>,
}

impl Block {
    /// The language: the first word of the info string.
    pub fn language(&self) -> &str {
        self.info.split([' ', ',']).next().unwrap_or_default()
    }

    /// What stands behind the language.
    pub fn marks(&self) -> &str {
        self.info[self.language().len()..].trim_start_matches([' ', ','])
    }

    /// The commands of the language that runs pages, with lines that a backslash continues joined.
    pub fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        let mut goes_on = false;
        for line in &self.lines {
            match commands.last_mut() {
                Some(last) if goes_on => last.push_str(&format!("\n{line}")),
                _ if line.trim().is_empty() || line.starts_with('#') => continue,
                _ => commands.push(line.clone()),
            }
            goes_on = line.ends_with('\\');
        }
        commands
    }
}

/// The blocks of code of a page, fenced and indented.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut fence, mut blank) = (None, true);
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        if let Some(margin) = fence {
            if bare.starts_with("```") {
                fence = None;
            } else if let Some(block) = blocks.last_mut() {
                block.lines.push(line.get(margin..).unwrap_or_default().to_owned());
            }
        } else if let Some(info) = bare.strip_prefix("```") {
            fence = Some(line.len() - bare.len());
            blocks.push(Block { line: number + 1, info: info.to_owned(), lines: Vec::new() });
        } else if let Some(code) = line.strip_prefix("    ") {
            match blocks.last_mut() {
                Some(block) if block.info == "indented" && block.line + block.lines.len() == number + 1 => {
                    block.lines.push(code.to_owned());
                }
                _ if blank => {
                    blocks.push(Block { line: number + 1, info: "indented".into(), lines: vec![code.to_owned()] });
                }
                _ => {}
            }
        }
        blank = line.trim().is_empty();
    }
    assert!(fence.is_none(), "a fence is not closed");
    blocks
}

/// The text without its fenced blocks and code spans.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// The targets of links and pictures.
pub fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let until = |start: &str, end: char| {
        prose.split(start).skip(1).filter_map(|rest| rest.split(end).next().map(str::to_owned)).collect::<Vec<_>>()
    };
    [until("](", ')'), until("src=\"", '"'), until("href=\"", '"'), until("srcset=\"", '"')].concat()
}

/// The headings outside blocks of code, without their marks.
pub fn headings(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut headings = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced && line.starts_with('#') {
            headings.push(line.trim_start_matches('#').trim().to_owned());
        }
    }
    headings
}

/// The anchors of the headings, as GitHub and mdBook make them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in headings(text) {
        let kept = heading.to_lowercase();
        let kept = kept.chars().filter(|&c| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ');
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let same = anchors.iter().filter(|other| **other == anchor).count();
        anchors.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
    }
    anchors
}
