//! Turns kernels into what GPU compilers take, and asks Vulkan drivers what they make of them:
//!
//! ```text
//! gpu-compilers translate FOLDER   SPIR-V, HLSL and MSL of each program of FOLDER/launches.tsv, as wgpu has naga write them
//! gpu-compilers compile FOLDER     what the Vulkan driver says of each: program, name and value of each statistic
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

mod translate;
mod vulkan;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A program of `launches.tsv`.
struct Program {
    number: String,
    shader: String,
    constants: naga::back::PipelineConstants,
}

/// The programs of a list of launches, each once.
fn programs(folder: &Path) -> Result<Vec<Program>> {
    let mut programs = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("launches.tsv"))?.lines().skip(1) {
        let [_, _, _, _, number, _, shader, constants, _] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("launches.tsv: {line}").into());
        };
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').ok_or("a constant without a value")?;
            Ok::<_, Box<dyn Error>>((name.to_owned(), value.parse()?))
        };
        let constants = constants.split_whitespace().map(pair).collect::<Result<_>>()?;
        let (number, shader) = (number.to_owned(), shader.to_owned());
        programs.entry(number.parse::<u32>()?).or_insert(Program { number, shader, constants });
    }
    Ok(programs.into_values().collect())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["translate", folder] => {
            let folder = Path::new(folder);
            let mut facts = String::new();
            for program in programs(folder)? {
                let number = &program.number;
                let found = translate::program(folder, &program)
                    .map_err(|error| format!("program {number}, {}.wgsl: {error}", program.shader))?;
                writeln!(facts, "{number}\t{}\t{}\t{}", found.lanes, found.workgroup_bytes, found.bindings.join(" "))?;
            }
            std::fs::write(folder.join("programs.tsv"), facts)?;
            Ok(())
        }
        ["compile", folder] => vulkan::compile(Path::new(folder)),
        _ => Err("usage: gpu-compilers translate FOLDER | compile FOLDER".into()),
    }
}
