//! Files that hold models but are no safetensors, named for what they are, with the line of Python that converts them.

use std::io::{Cursor, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::error::Error;

/// Bytes that are looked through for names of classes.
const LOOKED: usize = 1 << 20;

/// The error of a file that is no safetensors file: names what `bytes` look like, or says how it is `broken`.
pub(in crate::checkpoint) fn error(path: &Path, bytes: &[u8], broken: &dyn std::fmt::Display) -> Error {
    match kind(path, bytes) {
        Some((what, Some(python))) => {
            Error::file(path, what, format!("a safetensors file; it is converted in Python by: {python}"))
        }
        Some((what, None)) => Error::file(path, what, "a safetensors file"),
        None => Error::file(path, format!("a broken file ({broken})"), "a safetensors file"),
    }
}

/// What a file is, and the Python that converts it.
type Kind = (String, Option<String>);

fn kind(path: &Path, bytes: &[u8]) -> Option<Kind> {
    let python = |text: &str| {
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        Some(text.replace("SOURCE", &quoted(path)).replace("TARGET", &quoted(&path.with_extension("safetensors"))))
    };
    let found = |what: &str, text: &str| Some((what.to_owned(), python(text)));
    let plain = |what: &str| Some((what.to_owned(), None));
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Some(match archive(bytes) {
            (what, Some(text)) => (what, python(text)),
            (what, None) => (what, None),
        });
    }
    const LEGACY_TORCH: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    if bytes.starts_with(LEGACY_TORCH) {
        return found("a PyTorch pickle (torch.save, before PyTorch 1.6)", torch(bytes));
    }
    if is_pickle(bytes) {
        return match () {
            () if holds(bytes, b"sklearn") => found("a pickle of scikit-learn", SKLEARN),
            () if holds(bytes, b"torch") => found("a PyTorch pickle (torch.save)", torch(bytes)),
            () if holds(bytes, b"numpy") => found("a pickle of NumPy arrays", PICKLE),
            () => found("a Python pickle", PICKLE),
        };
    }
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    match () {
        () if matches!(bytes, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]) => found("a compressed pickle (joblib)", SKLEARN),
        () if starts(b"\x89HDF\r\n\x1a\n") => found("an HDF5 file (Keras .h5)", KERAS),
        () if bytes.get(257..262) == Some(b"ustar") => plain("a tar archive: unpack it, and give the file in it"),
        () if starts(b"GGUF") => found("a GGUF file (llama.cpp)", GGUF),
        () if starts(b"\x93NUMPY") => found("a NumPy array (.npy)", NPY),
        () if bytes.get(4..8) == Some(b"TFL3") => plain("a TensorFlow Lite model: save its Keras model as weights"),
        () if starts(b"\x1f\x8b") => plain("a gzip file: unpack it first"),
        () if starts(b"BZh") || starts(b"\xfd7zXZ") || starts(b"\x28\xb5\x2f\xfd") || starts(b"7z\xbc\xaf") => {
            plain("a compressed file: unpack it first")
        }
        () if starts(b"version https://git-lfs") => plain("a Git LFS pointer, not the file itself: run git lfs pull"),
        () if starts(b"\x89PNG") || starts(b"\xff\xd8\xff") => plain("an image"),
        () if crate::export::is_onnx(bytes) => found("an ONNX model of other software", ONNX),
        () => text(bytes),
    }
}

const TORCH: &str = "import torch; from safetensors.torch import save_file; d = torch.load(SOURCE, map_location=\"cpu\", \
                     weights_only=True); d = d.get(\"state_dict\", d.get(\"model_state_dict\", d)); \
                     save_file({k: v.detach().contiguous().clone() for k, v in d.items()}, TARGET)";
const TORCH_MODULE: &str = "import torch; from safetensors.torch import save_file; d = torch.load(SOURCE, \
                            map_location=\"cpu\", weights_only=False).state_dict(); \
                            save_file({k: v.detach().contiguous().clone() for k, v in d.items()}, TARGET) \
                            (it runs code of the file: only where you trust it)";
const TORCH_SCRIPT: &str = "import torch; from safetensors.torch import save_file; d = torch.jit.load(SOURCE, \
                            map_location=\"cpu\").state_dict(); \
                            save_file({k: v.detach().contiguous().clone() for k, v in d.items()}, TARGET)";
const SKLEARN: &str = "import joblib, numpy as np; from safetensors.numpy import save_file; m = joblib.load(SOURCE); \
                       save_file({f\"{i}.{n}\": np.ascontiguousarray(a.T, np.float32) for i, p in \
                       enumerate(zip(m.coefs_, m.intercepts_)) for n, a in zip((\"weight\", \"bias\"), p)}, TARGET, \
                       {\"activation\": m.activation.replace(\"logistic\", \"sigmoid\")})";
const PICKLE: &str = "import pickle, numpy as np; from safetensors.numpy import save_file; d = pickle.load(open(SOURCE, \
                      \"rb\")); save_file({k: np.ascontiguousarray(v) for k, v in d.items()}, TARGET) \
                      (it runs code of the file: only where you trust it)";
const KERAS: &str = "import keras, numpy as np; from safetensors.numpy import save_file; m = keras.models.load_model(SOURCE); \
                     save_file({v.path: np.ascontiguousarray(v.numpy()) for v in m.weights}, TARGET)";
const GGUF: &str = "import numpy as np; from gguf import GGUFReader; from safetensors.numpy import save_file; \
                    save_file({t.name: np.ascontiguousarray(t.data) for t in GGUFReader(SOURCE).tensors}, TARGET)";
const ONNX: &str = "import onnx, numpy as np; from onnx.numpy_helper import to_array; from safetensors.numpy import save_file; \
                    save_file({t.name: np.ascontiguousarray(to_array(t)) for t in onnx.load(SOURCE).graph.initializer}, TARGET)";
const NPY: &str = "import numpy as np; from safetensors.numpy import save_file; save_file({\"0.weight\": \
                   np.ascontiguousarray(np.load(SOURCE))}, TARGET) (for a weight of outputs x inputs)";
const NPZ: &str = "import numpy as np; from safetensors.numpy import save_file; \
                   save_file({k: np.ascontiguousarray(v) for k, v in np.load(SOURCE).items()}, TARGET)";

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes[..bytes.len().min(LOOKED)].windows(word.len()).any(|part| part == word)
}

/// The Python for a pickle of PyTorch: of a whole module, or of its tensors.
fn torch(pickle: &[u8]) -> &'static str {
    if holds(pickle, b"torch.nn.modules") { TORCH_MODULE } else { TORCH }
}

/// Whether the bytes are a pickle: of protocol 2 or later, or in the text of the first ones.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..]) || bytes.starts_with(b"ccopy_reg") || bytes.starts_with(b"(dp0")
}

/// What a zip archive is, and the Python that converts it.
fn archive(bytes: &[u8]) -> (String, Option<&'static str>) {
    let Ok(mut zip) = ZipArchive::new(Cursor::new(bytes)) else {
        return ("a zip archive that is damaged or cut off".into(), None);
    };
    let names: Vec<String> = zip.file_names().flatten().map(|name| name.into_owned()).collect();
    let ends = |end: &str| names.iter().find(|name| name.ends_with(end));
    let begins = |start: &str| names.iter().any(|name| name.starts_with(start) || name.contains(&format!("/{start}")));
    if let Some(name) = ends("data.pkl") {
        if begins("code/") {
            return ("a TorchScript archive (torch.jit.save)".into(), Some(TORCH_SCRIPT));
        }
        let mut pickle = Vec::new();
        if let Ok(file) = zip.by_name(name) {
            let _ = file.take(LOOKED as u64).read_to_end(&mut pickle);
        }
        return ("a PyTorch pickle in a zip archive (torch.save)".into(), Some(torch(&pickle)));
    }
    if ends("model.weights.h5").is_some() {
        return ("a Keras archive (.keras)".into(), Some(KERAS));
    }
    if let Some(name) = ends(".safetensors").or(ends(".pth")).or(ends(".pt")).or(ends(".h5")).or(ends(".onnx")) {
        return (format!("a zip archive with {name:?} in it: unpack it, and give that file"), None);
    }
    let first = names.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
    if !names.is_empty() && names.iter().all(|name| name.ends_with(".npy")) {
        return (format!("a NumPy archive without the arrays W1, b1, ... of a model ({first})"), Some(NPZ));
    }
    (format!("a zip archive without weights ({first})"), None)
}

/// What a text is.
fn text(bytes: &[u8]) -> Option<Kind> {
    let start = std::str::from_utf8(bytes.get(..bytes.len().min(64))?).ok()?.trim_start();
    let what = match () {
        () if start.starts_with('{') && holds(bytes, b"weight_map") => {
            "an index of safetensors files: give the file itself, joined if there are several"
        }
        () if start.starts_with('{') => "JSON: no weights",
        () if start.starts_with('<') => "a web page or XML: no weights (a download that failed?)",
        () => return None,
    };
    Some((what.into(), None))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn files_are_named_for_what_they_are_and_converted_by_a_line_of_python() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, what, python) in [
            (zipped(&[("m/data.pkl", b"\x80\x02collections")]), "PyTorch pickle", "weights_only=True"),
            (zipped(&[("m/data.pkl", b"ctorch.nn.modules.linear")]), "PyTorch pickle", "weights_only=False"),
            (zipped(&[("m/data.pkl", b""), ("m/code/x.py", b"")]), "TorchScript", "torch.jit.load"),
            (zipped(&[("config.json", b""), ("model.weights.h5", b"")]), "Keras", "keras.models.load_model"),
            (zipped(&[("x_train.npy", b"")]), "NumPy archive without", "np.load"),
            (zipped(&[("model.safetensors", b"")]), "model.safetensors", ""),
            (zipped(&[("readme.txt", b"")]), "without weights", ""),
            (b"PK\x03\x04".to_vec(), "damaged", ""),
            (b"\x80\x04\x95sklearn.neural_network".to_vec(), "scikit-learn", "coefs_"),
            (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec(), "PyTorch pickle", "torch.load"),
            (b"\x80\x04}.".to_vec(), "Python pickle", "pickle.load"),
            (b"\x78\x9c\x00".to_vec(), "joblib", "joblib.load"),
            (b"\x89HDF\r\n\x1a\n".to_vec(), "HDF5", "keras"),
            (tar, "tar", ""),
            (b"GGUF\x03\0\0\0".to_vec(), "GGUF", "GGUFReader"),
            (b"version https://git-lfs.github.com/spec/v1".to_vec(), "Git LFS", ""),
            (b"<!doctype html>".to_vec(), "web page", ""),
            (b"{\"weight_map\": {}}".to_vec(), "index", ""),
            (b"abc".to_vec(), "a broken file (cut)", ""),
        ] {
            let error = error("a/m.bin".as_ref(), &bytes, &"cut").to_string();
            assert!(error.contains(what) && error.contains(python) && !error.contains('\n'), "{what}: {error}");
            assert!(python.is_empty() || error.contains("\"a/m.safetensors\""), "{error}");
        }
    }
}
