//! Saved models for other software: ONNX, and NumPy archives.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::checkpoint::{Checkpoint, front, little_endian};
use crate::error::{Error, Result};

mod onnx;
mod read;

pub use onnx::onnx;
pub(crate) use read::{Exported, is_onnx};

/// The NumPy archive (`.npz`) of a model: arrays `W1` (inputs x outputs), `b1` (outputs), `W2`, ... of float32, layer by layer,
/// so that `f = x @ W1 + b1`. Where the model scales its inputs, with `offset` and `divisor` too: `x = (raw - offset) / divisor`,
/// and with `clip` where that is held: `x / sqrt(1 + (x / clip) ** 2)`;
/// where numbers are embedded or inputs have trained factors, with `embedding.features` (int64) and `scale`, ... as in the model's own
/// file: `e = embedding.bias + sum(embedding.weight * cos(2 pi x[features] * frequencies + phases))` behind `x`;
/// where it predicts values, with `target_mean` and `target_deviation`: `value = f * target_deviation + target_mean`. What the
/// model's own file says of it is `metadata`, JSON as uint8; where that says nothing, `activation` is the name of its activation.
///
/// # Errors
/// [`Error::Data`] when it is too large for an archive.
pub fn npz(checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let (embedded, front) = front::tensors(&checkpoint.model, &checkpoint.state.parameters);
    let mut arrays: Vec<_> = front.map(|(tensor, values)| (tensor.name.into(), tensor.shape.clone(), values)).collect();
    for (number, layer) in (1..).zip(checkpoint.model.layers()) {
        let of = |range: &std::ops::Range<usize>| &checkpoint.state.parameters[range.clone()];
        arrays.push((format!("W{number}"), vec![layer.inputs, layer.outputs], of(&layer.weights)));
        arrays.push((format!("b{number}"), vec![layer.outputs], of(&layer.biases)));
    }
    let scaling = checkpoint.metadata.as_ref().and_then(|metadata| metadata.scaling.as_ref());
    if let Some(scaling) = scaling {
        arrays.push(("offset".into(), vec![scaling.offset.len()], &scaling.offset));
        arrays.push(("divisor".into(), vec![scaling.divisor.len()], &scaling.divisor));
        if let Some(clip) = &scaling.clip {
            arrays.push(("clip".into(), vec![1], std::slice::from_ref(clip)));
        }
    }
    let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
    let targets = checkpoint.metadata.as_ref().and_then(|metadata| metadata.target_scale.as_ref());
    let targets = targets.map(|scale| (single(&scale.mean), single(&scale.deviation)));
    if let Some((mean, deviation)) = &targets {
        arrays.push(("target_mean".into(), vec![mean.len()], mean));
        arrays.push(("target_deviation".into(), vec![deviation.len()], deviation));
    }
    let failed = |error: &dyn std::fmt::Display| Error::Data(format!("cannot make a NumPy archive: {error}"));
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, header: Vec<u8>, bytes: &[u8]| -> Result<()> {
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file(format!("{name}.npy"), options).map_err(|error| failed(&error))?;
        archive.write_all(&[&header, bytes].concat()).map_err(|error| failed(&error))
    };
    for (name, shape, values) in arrays {
        add(&name, header("<f4", &shape), &little_endian(values))?;
    }
    if let Some(embedded) = embedded {
        let bytes: Vec<u8> = embedded.iter().flat_map(|&feature| i64::from(feature).to_le_bytes()).collect();
        add(front::FEATURES, header("<i8", &[embedded.len()]), &bytes)?;
    }
    let (name, text) = match &checkpoint.metadata {
        Some(metadata) => ("metadata", serde_json::to_string(metadata).map_err(|error| failed(&error))?),
        None => ("activation", checkpoint.model.activation().name().to_owned()),
    };
    add(name, header("|u1", &[text.len()]), text.as_bytes())?;
    Ok(archive.finish().map_err(|error| failed(&error))?.into_inner())
}

/// The header of a `.npy` file of the type `descr` in rows, version 1.0: padded so that the values begin at a multiple of 64.
fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let lengths: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", lengths.trim_end());
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    text.push_str(&" ".repeat(length - text.len() - 1));
    text.push('\n');
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_padded_and_says_its_length() {
        for shape in [&[7][..], &[784, 7], &[123_456, 1_234_567]] {
            let header = header("<f4", shape);
            assert!(header.len().is_multiple_of(64) && header.ends_with(b"\n"));
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])), header.len() - 10);
        }
        assert!(String::from_utf8_lossy(&header("<f4", &[784, 7])).contains("'shape': (784, 7,), }"));
        assert!(String::from_utf8_lossy(&header("<f4", &[7])).contains("'shape': (7,), }"));
    }
}
