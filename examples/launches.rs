//! Writes every kernel that GPUs launch for a list of networks, without a GPU: `cargo run --example launches -- FOLDER`.
//!
//! `FOLDER` gets the linked WGSL of each shader, and `launches.tsv`, a line for each dispatch of each plan: the plan, the place in it,
//! what the dispatch makes, the number of workgroups, and its program: kernel, WGSL file, values of the `override` constants, and
//! what tells it in `assets/cycles.tsv`.
//! Where a dispatch joins launches, a line for each of them follows, with places such as 4.0.
//! With `--ways` also the ways that only a tuned adapter takes. `tests/gpu-compilers/run` feeds GPU compilers with it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use mlp_gpu::backend::cpu::augment::Warper;
use mlp_gpu::backend::gpu::cycles;
use mlp_gpu::backend::gpu::hardware::{Cooperative, Hardware};
use mlp_gpu::backend::gpu::join::Joined;
use mlp_gpu::backend::gpu::kernels::{Kernel, NARROW_FORWARD, NARROW_UPDATE, Needs, REGISTRY};
use mlp_gpu::backend::gpu::plan::{Element, Plan, PlanName};
use mlp_gpu::recipe::{Loss, OptimizerKind, RecipeName};
use mlp_gpu::{Augment, Mlp, Recipe};

/// What current GPUs have at least, for mixed precision matrix units too.
fn hardware(mixed: bool) -> Hardware {
    let cooperative = mixed.then_some(Cooperative { side: 16, subgroup: 32 });
    Hardware { subgroup: 32, workgroup_bytes: 32_768, storage_buffers: 31, cooperative, ..Hardware::GPU }
}

/// What GPUs of desktops and servers have.
fn roomy() -> Hardware {
    Hardware { workgroup_bytes: 49_152, invocations: 1024, ..hardware(false) }
}

/// Rows that are evaluated at a time.
const EVALUATION_ROWS: usize = 4096;

/// A network and how it is trained. A pack of them launches the same programs, with its members along the z axis.
struct Workload {
    name: &'static str,
    model: Mlp,
    recipe: Recipe,
    element: Element,
    hardware: Hardware,
}

fn workloads() -> Result<Vec<Workload>, Box<dyn Error>> {
    let with = |name, recipe: RecipeName, kind, batch_size, hidden: &[usize]| {
        let mut recipe = Recipe { batch_size, ..Recipe::new(recipe, Some(hidden.to_vec())) };
        recipe.optimizer.kind = kind;
        let model = recipe.model(784, 10)?;
        Ok::<_, Box<dyn Error>>(Workload { name, model, recipe, element: Element::U8, hardware: hardware(false) })
    };
    let (plain, adam) = (OptimizerKind::Sgd, OptimizerKind::Adam);
    let (notebook, image) = (RecipeName::Notebook, RecipeName::Image);
    let mut list = vec![
        with("notebook", notebook, plain, 64, &[7])?,
        with("notebook, Adam", notebook, adam, 64, &[7])?,
        with("tutorial", notebook, plain, 64, &[128])?,
        with("tutorial, Adam", notebook, adam, 64, &[128])?,
        with("deep", notebook, plain, 100, &[40, 21])?,
        with("deep, Adam", notebook, adam, 100, &[40, 21])?,
        with("image", image, adam, 128, &[512, 512])?,
        with("wide", notebook, plain, 1024, &[2048, 2048])?,
    ];

    let mut augmented = with("augmented", image, adam, 128, &[512, 512])?;
    augmented.recipe.augment = Augment { shift: 1.0, rotate: 15.0, scale: 0.15, elastic: 1.5 };
    let mut clipped = with("clipped", notebook, plain, 64, &[7])?;
    clipped.recipe.optimizer.clip_norm = Some(1.0);
    list.extend([augmented, clipped]);

    for (name, loss, outputs) in [("table, classes", Loss::CrossEntropy, 3), ("table, values", Loss::Mse, 1)] {
        let recipe = Recipe { loss, row_weights: loss == Loss::Mse, ..Recipe::new(RecipeName::Table, None) };
        let model = recipe.model(20, outputs)?.with_front(recipe.front((0..12).collect()))?;
        list.push(Workload { name, model, recipe, element: Element::F32, hardware: hardware(false) });
    }
    list.push(Workload { hardware: hardware(true), ..with("image, mixed", image, adam, 128, &[512, 512])? });
    list.push(Workload { hardware: hardware(true), ..with("wide, mixed", notebook, plain, 1024, &[2048, 2048])? });
    for (name, kind) in [("notebook, roomy", plain), ("notebook, roomy, Adam", adam)] {
        list.push(Workload { hardware: roomy(), ..with(name, notebook, kind, 64, &[7])? });
    }
    Ok(list)
}

impl Workload {
    /// A step and an evaluation by each plan that can run it.
    fn plans(&self) -> Vec<(String, Plan)> {
        let Self { name, model, recipe, element, hardware } = self;
        let mut plans = Vec::new();
        for plan in PlanName::ALL {
            // Mixed precision changes nothing in the others.
            let is_here = hardware.cooperative.is_none() || plan == PlanName::Fused;
            if !is_here || plan.check(model, recipe, hardware).is_err() {
                continue;
            }
            let step = Plan::step(plan, model, recipe, *element, recipe.batch_size, hardware);
            let step =
                if recipe.augment.is_none() { step } else { step.augmenting(&Warper::new(recipe.augment, (28, 28))) };
            plans.push((format!("{name}: {} step", plan.name()), step));
            let evaluation = Plan::evaluation(plan, model, recipe, *element, EVALUATION_ROWS, hardware);
            plans.push((format!("{name}: {} evaluation", plan.name()), evaluation));
        }
        plans
    }
}

/// The list that is written, with the files that it names.
struct List<'a> {
    folder: &'a Path,
    /// Names of the files of shaders, by what tells these apart.
    files: BTreeMap<String, String>,
    /// Number and constants of each program, by its fingerprint.
    programs: BTreeMap<String, (usize, String)>,
    lines: String,
}

const HEADER: &str = "plan\tplace\twhat\tgrid\tprogram\tkernel\tshader\tconstants\tfingerprint\n";

impl List<'_> {
    /// Adds what runs `at` a place. What tells the shader and the program from others comes with the text and the constants.
    fn add(
        &mut self,
        at: &str,
        [x, y]: [u32; 2],
        kernel: &str,
        (shader, source): (String, &str),
        (program, constants): (String, &str),
    ) -> std::io::Result<()> {
        let number = self.files.len();
        let file = self.files.entry(shader).or_insert_with(|| format!("{kernel}-{number}"));
        std::fs::write(self.folder.join(format!("{file}.wgsl")), source)?;
        let number = self.programs.len();
        let (number, constants) = self.programs.entry(program.clone()).or_insert((number, constants.to_owned()));
        self.lines += &format!("{at}\t{x}x{y}\t{number}\t{kernel}\t{file}\t{constants}\t{program}\n");
        Ok(())
    }
}

/// The kernels that no plan has launched and no software driver alone needs.
fn left_out(launched: &BTreeSet<&str>) -> Vec<&'static str> {
    let software = [&NARROW_FORWARD, &NARROW_UPDATE];
    let excused = |kernel: &&Kernel| {
        matches!(kernel.needs, Needs::Subgroup(_) | Needs::Cooperative(8)) || software.contains(kernel)
    };
    let kernels = REGISTRY.iter().filter(|kernel| !launched.contains(kernel.name) && !excused(kernel));
    kernels.map(|kernel| kernel.name).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, folders): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.starts_with("--"));
    let [folder] = folders[..] else { return Err("usage: launches FOLDER [--ways]".into()) };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;

    let ways = flags.iter().any(|flag| *flag == "--ways");
    let mut list = List { folder, files: BTreeMap::new(), programs: BTreeMap::new(), lines: HEADER.to_owned() };
    let mut launched = BTreeSet::new();
    for (plan, Plan { dispatches, .. }) in workloads()?.iter().flat_map(Workload::plans) {
        for (place, dispatch) in dispatches.iter().enumerate() {
            let is_joined = dispatch.pieces.len() > 1;
            if is_joined {
                let joined = Joined::new(&dispatch.pieces)?;
                let at = format!("{plan}\t{place}\t{}", dispatch.label());
                let name = "joined";
                let program = (cycles::fingerprint(&joined.source, ""), "");
                list.add(&at, joined.grid, name, (joined.source.clone(), &joined.source), program)?;
            }
            for (number, piece) in dispatch.pieces.iter().enumerate() {
                let place = if is_joined { format!("{place}.{number}") } else { place.to_string() };
                for launch in std::iter::once(&piece.launch).chain(piece.others.iter().filter(|_| ways)) {
                    launched.insert(launch.kernel.name);
                    let at = format!("{plan}\t{place}\t{}", launch.label());
                    let (source, deciding) = cycles::program(launch)?;
                    let constants = launch.constants.iter().map(|(name, value)| format!("{name}={value}"));
                    let constants = constants.collect::<Vec<_>>().join(" ");
                    let program = (cycles::fingerprint(&source, &deciding), &*constants);
                    list.add(&at, launch.grid, launch.kernel.name, (launch.shader(), &source), program)?;
                }
            }
        }
    }
    std::fs::write(folder.join("launches.tsv"), list.lines)?;
    match left_out(&launched)[..] {
        [] => Ok(()),
        ref kernels => {
            Err(format!("no workload launches {}: add one to examples/launches.rs", kernels.join(", ")).into())
        }
    }
}
