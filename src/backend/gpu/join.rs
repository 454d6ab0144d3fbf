//! Several launches as one dispatch: their shaders joined into one, each for workgroups of its own.
//!
//! What each shader declares gets the launch's number behind its name, but for `batches`, which all have. Constants are written into
//! the text. A binding that several launches give the same buffer under the same name becomes one, and so do variables in workgroup
//! memory whose values have the same type, since a workgroup runs one of the launches ([`WorkgroupMemory`]).
//!
//! [`WorkgroupMemory`]: crate::backend::gpu::launch::WorkgroupMemory

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::gpu::kernels::{BATCHES, Reflection, reflect};
use crate::backend::gpu::launch::{Launch, fold};
use crate::backend::gpu::plan::{Buffer, Piece};
use crate::error::{Error, Result};

/// Launches none of which waits for another, as one shader.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The WGSL text.
    pub source: String,
    /// What is bound, by the names in that text.
    pub bindings: Vec<(String, Buffer)>,
    /// Workgroups along x and y.
    pub grid: [u32; 2],
}

/// What keeps its name: the uniform that every kernel has, and its type.
const SHARED: [&str; 2] = ["Batch", BATCHES];

impl Joined {
    /// Joins `pieces`, which must have workgroups of the same size.
    ///
    /// # Errors
    /// [`Error::Gpu`] naming the kernel whose shader cannot be joined.
    pub fn new(pieces: &[Piece]) -> Result<Self> {
        let texts = pieces.iter().map(|piece| Ok(without_comments(&piece.launch.kernel.source(piece.launch.link)?)));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let shaders = texts.iter().zip(pieces).map(|(text, piece)| Shader::new(text, &piece.launch));
        let shaders = shaders.collect::<Result<Vec<_>>>()?;
        let mut bindings: Vec<(String, Buffer)> = Vec::new();
        // Declared as what, by the names in the joined text.
        let mut bound: BTreeMap<String, &str> = BTreeMap::new();
        let mut names = Vec::new();
        for (number, (shader, piece)) in shaders.iter().zip(pieces).enumerate() {
            let suffixed = |name: &str| format!("{name}_{number}");
            let own = |name: &str| if SHARED.contains(&name) { name.to_owned() } else { suffixed(name) };
            let mut of_shader: BTreeMap<&str, String> =
                shader.declarations.iter().map(|declaration| (declaration.name, own(declaration.name))).collect();
            for &(name, buffer) in &piece.bindings {
                let declaration = shader.declarations.iter().find(|declaration| declaration.name == name);
                let declaration = declaration.ok_or_else(|| unjoined(&piece.launch, &format!("no {name} in it")))?;
                let same = (0..number).map(|earlier| format!("{name}_{earlier}")).find(|other| {
                    bound.get(other) == Some(&declaration.kind) && bindings.contains(&(other.clone(), buffer))
                });
                let joined = same.unwrap_or_else(|| suffixed(name));
                if bound.insert(joined.clone(), declaration.kind).is_none() {
                    bindings.push((joined.clone(), buffer));
                }
                of_shader.insert(name, joined);
            }
            names.push(of_shader);
        }
        let lengths = share_memory(&shaders, &mut names);
        let groups: Vec<u32> = pieces.iter().map(|piece| piece.launch.grid.iter().product()).collect();
        let grid = fold(groups.iter().sum::<u32>() as usize);
        Ok(Self { source: written(&shaders, (&names, &lengths), pieces, grid)?, bindings, grid })
    }

    /// Parses and validates it.
    ///
    /// # Errors
    /// [`Error::Gpu`] when it does not hold.
    pub fn reflect(&self) -> Result<Reflection> {
        reflect("joined", &self.source)
    }
}

/// Gives variables in workgroup memory that stand for one another the name of the first; how many values each has, by that name.
fn share_memory<'a>(shaders: &[Shader<'a>], names: &mut [BTreeMap<&'a str, String>]) -> BTreeMap<String, String> {
    let mut first: BTreeMap<(&str, usize), String> = BTreeMap::new();
    let mut lengths: BTreeMap<String, String> = BTreeMap::new();
    for (shader, names) in shaders.iter().zip(names) {
        let mut before = Vec::new();
        for (name, ty, length) in shader.declarations.iter().filter_map(Declaration::in_workgroup_memory) {
            let variable = (ty, before.iter().filter(|other| **other == ty).count());
            before.push(ty);
            let length = renamed(length, names, false);
            let joined = first.entry(variable).or_insert_with(|| names[name].clone());
            let all = lengths.get(joined).map_or_else(|| length.clone(), |others| format!("max({others}, {length})"));
            lengths.insert(joined.clone(), all);
            names.insert(name, joined.clone());
        }
    }
    lengths
}

/// The text of the joined shader.
fn written(
    shaders: &[Shader<'_>],
    (names, lengths): (&[BTreeMap<&str, String>], &BTreeMap<String, String>),
    pieces: &[Piece],
    grid: [u32; 2],
) -> Result<String> {
    let (mut directives, mut declared, mut binding) = (BTreeSet::new(), BTreeSet::new(), 0);
    let (mut declarations, mut branches) = (String::new(), String::new());
    let mut builtins = BTreeMap::from([("workgroup_id", "vec3<u32>")]);
    let mut before = 0;
    for ((shader, names), Piece { launch, .. }) in shaders.iter().zip(names).zip(pieces) {
        directives.extend(shader.directives.iter().copied());
        for declaration in &shader.declarations {
            if declared.insert(&names[declaration.name]) {
                declarations += &match declaration.in_workgroup_memory() {
                    Some((name, ty, _)) => {
                        let name = &names[name];
                        format!("var<workgroup> {name}: array<{ty}, {}>;\n", lengths[name])
                    }
                    None => declaration.written(launch, names, &mut binding)?,
                };
            }
        }
        let [across, down] = launch.grid;
        let place = format!("(joined_group - {before}u)");
        before += across * down;
        branches += &format!("    if joined_group < {before}u {{\n");
        for &(builtin, name, ty) in &shader.parameters {
            let value = match builtin {
                "workgroup_id" => format!("vec3<u32>({place} % {across}u, {place} / {across}u, workgroup_id.z)"),
                "num_workgroups" => return Err(unjoined(launch, "it counts the workgroups")),
                other => other.to_owned(),
            };
            builtins.insert(builtin, ty);
            branches += &format!("        let {name} = {value};\n");
        }
        branches += &format!("{}        return;\n    }}\n", renamed(shader.body, names, false));
    }
    let directives: String = directives.into_iter().map(|directive| format!("{directive}\n")).collect();
    let builtins = builtins.iter().map(|(builtin, ty)| format!("@builtin({builtin}) {builtin}: {ty}"));
    let (builtins, lanes, width) = (builtins.collect::<Vec<_>>().join(", "), pieces[0].launch.lanes()?, grid[0]);
    Ok(format!(
        "{directives}{declarations}@compute @workgroup_size({lanes})\nfn main({builtins}) {{\n    \
         let joined_group = workgroup_id.y * {width}u + workgroup_id.x;\n{branches}}}\n"
    ))
}

fn unjoined(launch: &Launch, why: &str) -> Error {
    Error::Gpu(format!("kernel {} cannot be joined with others: {why}", launch.kernel.name))
}

/// A linked shader, taken apart.
struct Shader<'a> {
    /// `enable` and the like.
    directives: Vec<&'a str>,
    /// All but `main`.
    declarations: Vec<Declaration<'a>>,
    /// Builtin, name and type of the parameters of `main`.
    parameters: Vec<(&'a str, &'a str, &'a str)>,
    /// What stands between the braces of `main`.
    body: &'a str,
}

/// Something that a shader declares for all of it.
struct Declaration<'a> {
    text: &'a str,
    /// `fn`, `struct`, `var<storage, read>` and the like.
    keyword: &'a str,
    name: &'a str,
    /// What stands behind the name: of a variable its type, of a constant its type and value.
    rest: &'a str,
    /// Keyword and rest: what two bindings must have in common to be one.
    kind: &'a str,
}

impl<'a> Shader<'a> {
    /// Of `launch`, from its text without comments.
    fn new(text: &'a str, launch: &Launch) -> Result<Self> {
        let mut shader = Self { directives: Vec::new(), declarations: Vec::new(), parameters: Vec::new(), body: "" };
        for statement in statements(text) {
            if ["enable ", "requires ", "diagnostic("].iter().any(|word| statement.starts_with(word)) {
                shader.directives.push(statement);
            } else if statement.starts_with("@compute") {
                let main = statement.split_once("fn main(").and_then(|(_, main)| main.split_once('{'));
                let (parameters, body) = main.ok_or_else(|| unjoined(launch, "no `main` in it"))?;
                shader.body = body.strip_suffix('}').unwrap_or(body);
                let parameters = parameters.trim_end().trim_end_matches(')').split("@builtin(").skip(1);
                for parameter in parameters {
                    let parts =
                        parameter.split_once(')').and_then(|(builtin, rest)| Some((builtin, rest.split_once(':')?)));
                    let (builtin, (name, ty)) =
                        parts.ok_or_else(|| unjoined(launch, "parameters that are not builtins"))?;
                    shader.parameters.push((builtin, name.trim(), ty.trim().trim_end_matches(',')));
                }
            } else {
                shader.declarations.push(
                    Declaration::new(statement).ok_or_else(|| unjoined(launch, &format!("{statement:?} in it")))?,
                );
            }
        }
        Ok(shader)
    }
}

impl<'a> Declaration<'a> {
    fn new(text: &'a str) -> Option<Self> {
        let keywords = ["fn ", "struct ", "const ", "alias ", "override ", "var<"];
        // Behind what stands in front of it, such as `@group(0)`.
        let start = keywords.iter().filter_map(|keyword| text.find(keyword)).min()?;
        let kind = &text[start..];
        let end = if kind.starts_with("var<") { kind.find('>')? + 1 } else { kind.find(' ')? };
        let (keyword, behind) = kind.split_at(end);
        let name = identifiers(behind).next()?;
        let rest = &behind[name.end..];
        Some(Self { text, keyword, name: &behind[name], rest, kind })
    }

    /// Name, type of the values and their number, of an array in workgroup memory.
    fn in_workgroup_memory(&self) -> Option<(&'a str, &'a str, &'a str)> {
        let array = self.rest.trim_start_matches(':').trim().strip_prefix("array<")?.strip_suffix(">;")?;
        let (ty, length) = array.rsplit_once(',')?;
        (self.keyword == "var<workgroup>").then(|| (self.name, ty.trim(), length.trim()))
    }

    /// With the names that it and what it uses have in the joined shader. A constant has the value that `launch` gives it; a
    /// binding takes the next number.
    fn written(&self, launch: &Launch, names: &BTreeMap<&str, String>, binding: &mut u32) -> Result<String> {
        let (name, rest) = (&names[self.name], renamed(self.rest, names, false));
        Ok(match self.keyword {
            _ if SHARED.contains(&self.name) && !self.text.contains("@binding(") => format!("{}\n", self.text),
            "override" => {
                let ty = self.rest.trim_start_matches(':').trim_end_matches(';').split('=').next().unwrap_or_default();
                match (launch.constant(self.name), ty.trim()) {
                    (None, _) => format!("const {name}{rest}\n"),
                    (Some(value), "bool") => format!("const {name} = {};\n", value != 0.0),
                    (Some(value), "f32") => format!("const {name}: f32 = {:e}f;\n", value as f32),
                    (Some(value), "u32") => format!("const {name}: u32 = {}u;\n", value as u32),
                    (Some(_), other) => return Err(unjoined(launch, &format!("a constant of type {other}"))),
                }
            }
            variable if self.text.contains("@binding(") => {
                let at = *binding;
                *binding += 1;
                format!("@group(0) @binding({at}) {variable} {name}{rest}\n")
            }
            "struct" => format!("struct {name}{}\n", renamed(self.rest, names, true)),
            keyword => format!("{keyword} {name}{rest}\n"),
        })
    }
}

/// `text` without its comments.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).flat_map(|line| [line, "\n"]).collect()
}

/// The directives and declarations of a shader.
fn statements(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (character == ';' || character == '}') {
            found.push(text[start..=at].trim());
            start = at + 1;
        }
    }
    found.retain(|statement| *statement != ";");
    found
}

/// Where the words of `text` are that are no numbers.
fn identifiers(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + text[at..].find(is_part)?;
            at = start + text[start..].find(|character| !is_part(character)).unwrap_or(text.len() - start);
            if !text[start..].starts_with(|first: char| first.is_ascii_digit()) {
                return Some(start..at);
            }
        }
    })
}

/// `text` with other names for what is declared outside; members of a structure keep theirs, also where it is declared.
fn renamed(text: &str, names: &BTreeMap<&str, String>, is_struct: bool) -> String {
    let (mut done, mut out) = (0, String::with_capacity(text.len() + 256));
    for place in identifiers(text) {
        let is_member = text[..place.start].ends_with('.') || (is_struct && text[place.end..].starts_with(':'));
        let Some(name) = names.get(&text[place.clone()]).filter(|_| !is_member) else { continue };
        out += &text[done..place.start];
        out += name;
        done = place.end;
    }
    out + &text[done..]
}
