//! Cases of several members as one dispatch of a pack.

use bytemuck::cast_slice;

use super::{Case, SOURCE_ROWS, Values};
use crate::backend::gpu::engine::drops;
use crate::backend::gpu::kernels::Kernel;
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::submit::{Batch, Entries};
use crate::compare::Tolerance;
use crate::error::{Error, Result};

/// The members that cases are made of, in the order of the entries; member 1 is idle.
const MEMBERS: [usize; 3] = [2, 0, 3];
/// So many cases make a pack.
pub(super) const TAKING_PART: usize = MEMBERS.len();
/// With the idle one.
const ALL: usize = TAKING_PART + 1;
/// What is written behind a result must stay: each output buffer is this much longer.
const BEHIND: usize = 3;

/// A launch for a pack, the buffers it starts with, and what the twins make of them.
pub(super) struct Packed {
    pub(super) launch: Launch,
    pub(super) entries: Entries,
    pub(super) before: Vec<(&'static str, Values)>,
    pub(super) after: Vec<(&'static str, Values, Tolerance)>,
}

/// How a buffer is divided.
enum Lies {
    /// Rows of data that all may read: here each member's own, one after the other.
    Together,
    /// Numbers of those rows.
    Order,
    /// By members, so many values each.
    ByMember(usize),
    /// By entries, so many values each.
    ByEntry(usize),
}

fn lies(launch: &Launch, name: &str, values: &Values) -> Lies {
    let constant = |name: &str| launch.constant(name).map(|value| value as usize);
    let stride = constant("stride").unwrap_or_default();
    let from_data = constant("source").is_some_and(|source| source > 0);
    // Of the products of dense layers the update's.
    let updates = constant("product") == Some(2);
    match (launch.kernel.name, name) {
        (_, "order") => Lies::Order,
        (_, "data" | "targets" | "row_weights" | "steps" | "columns") => Lies::Together,
        (_, "a" | "a4") if from_data => Lies::Together,
        ("narrow_step" | "dense_ahead" | "output_ahead", "sums") | (_, "confusion" | "totals" | "clip_norms") => {
            Lies::ByMember(values.len())
        }
        (_, "parameters" | "biases" | "factors")
        | ("matmul" | "matmul_a_bt" | "output" | "output_ahead" | "output_registers", "b") => Lies::ByMember(stride),
        (_, "slots") => Lies::ByMember(stride * launch.link.optimizer.slots()),
        (_, "gradients") | ("matmul_at_b", "c") | ("reduce_rows" | "scale_backward", "sums") => Lies::ByEntry(stride),
        (dense, "b" | "b4") if dense.starts_with("dense") && !updates => Lies::ByMember(stride),
        ("dense_ahead", "c") => Lies::ByMember(stride),
        (dense, "c") if dense.starts_with("dense") && updates => Lies::ByMember(stride),
        _ => Lies::ByEntry(values.len()),
    }
}

/// The `cases` of members that differ in all their numbers as one dispatch. The first has as many rows as there is room for.
pub(super) fn packed(kernel: &'static Kernel, cases: Vec<Case>) -> Result<Packed> {
    let wrong = |what: &str| Error::Check(format!("kernel {}: {what}", kernel.name));
    let first = cases.first().filter(|_| cases.len() == TAKING_PART).ok_or_else(|| wrong("too few cases"))?;
    let launch = first.launch.clone();
    if cases.iter().any(|case| case.launch != launch) {
        return Err(wrong("members are launched in different ways"));
    }
    let of = |case: &Case, name: &str| {
        let found = case.before.iter().find(|(of, _)| *of == name).map(|(_, values)| values.clone());
        found.ok_or_else(|| wrong(name))
    };
    let mut before = Vec::new();
    for (name, values) in &first.before {
        let all = cases.iter().map(|case| of(case, name)).collect::<Result<Vec<_>>>()?;
        before.push((*name, joined(&lies(&launch, name, values), all)));
    }
    let mut after = Vec::new();
    for (number, (name, _, tolerance)) in first.after.iter().enumerate() {
        let lies = lies(&launch, name, &of(first, name)?);
        let all = cases.iter().map(|case| case.after[number].1.clone()).collect();
        let mut expected = joined(&lies, all);
        expected.pad(expected.len() + BEHIND);
        let bound = before.iter_mut().find(|(of, _)| of == name).ok_or_else(|| wrong(name))?;
        bound.1.pad(expected.len());
        after.push((*name, expected, *tolerance));
    }
    if launch.link.dropout.is_some() {
        let mut shares = [0.0; ALL];
        MEMBERS.iter().zip(&cases).for_each(|(&member, case)| shares[member] = case.share);
        let drops: Vec<u32> = drops(&shares).chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        before.push(("drops", Values::Table(drops)));
    }
    let (mut orders, mut steps, mut entries) = (0, 0, Vec::new());
    for (number, (case, member)) in cases.iter().zip(MEMBERS).enumerate() {
        let totals = of(case, "totals").map_or(0, |totals| totals.len());
        entries.push(Batch {
            first: case.batch.first + orders,
            member: member as u32,
            index: case.batch.index + (member * totals) as u32 + steps,
            ..case.batch
        });
        orders += of(case, "order").map_or(0, |order| order.len()) as u32;
        // The numbers of a run, which are counted as its entry's are.
        if let Some((_, Values::U32(words))) = before.iter_mut().find(|(name, _)| *name == "steps") {
            let batches: &mut [Batch] = bytemuck::cast_slice_mut(words);
            let own = case.batch.rows as usize;
            for batch in &mut batches[steps as usize..steps as usize + own] {
                (batch.first, batch.member) = (batch.first + entries[number].first, member as u32);
            }
            steps += own as u32;
        }
    }
    Ok(Packed { launch, entries, before, after })
}

/// The buffers of the cases as one.
fn joined(lies: &Lies, all: Vec<Values>) -> Values {
    let (stride, places, count) = match lies {
        Lies::Together | Lies::Order => {
            let mut joined: Option<Values> = None;
            for (number, mut values) in all.into_iter().enumerate() {
                if let (Lies::Order, Values::U32(rows)) = (lies, &mut values) {
                    rows.iter_mut().for_each(|row| *row += (number * SOURCE_ROWS) as u32);
                }
                match &mut joined {
                    None => joined = Some(values),
                    Some(joined) => joined.append(&values),
                }
            }
            return joined.unwrap_or(Values::U32(Vec::new()));
        }
        Lies::ByMember(stride) => (*stride, MEMBERS, ALL),
        Lies::ByEntry(stride) => (*stride, [0, 1, 2], TAKING_PART),
    };
    let mut joined = Values::like(&all[0]);
    for place in 0..count {
        if let Some(number) = places.iter().position(|&of| of == place) {
            joined.append(&all[number]);
        }
        joined.pad((place + 1) * stride);
    }
    joined
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U32(values) | Self::Table(values) => values.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// None of the same kind.
    fn like(other: &Self) -> Self {
        match other {
            Self::F32(_) => Self::F32(Vec::new()),
            Self::U32(_) | Self::Table(_) => Self::U32(Vec::new()),
            Self::Bytes(_) => Self::Bytes(Vec::new()),
        }
    }

    /// With what nobody writes, up to `count` values.
    fn pad(&mut self, count: usize) {
        match self {
            Self::F32(values) => values.resize(count, 7.0),
            Self::U32(values) | Self::Table(values) => values.resize(count, 7),
            Self::Bytes(bytes) => bytes.resize(count, 7),
        }
    }

    fn append(&mut self, other: &Self) {
        match (self, other) {
            (Self::F32(values), Self::F32(more)) => values.extend_from_slice(more),
            (Self::U32(values), Self::U32(more)) => values.extend_from_slice(more),
            (Self::Bytes(bytes), Self::Bytes(more)) => bytes.extend_from_slice(more),
            // The bits of numbers of another kind.
            (Self::U32(values), Self::F32(more)) => values.extend_from_slice(cast_slice(more)),
            _ => {}
        }
    }
}
