//! The bounds of a safetensors file's header: what a hostile one would make its readers do is refused before it is read in full.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::KEY;
use crate::error::{Error, Result};
use crate::memory;

/// The most tensors in a file of other software: 500 layers have some thousand.
const MOST_TENSORS: usize = 20_000;
/// The most tensors in a file of our own, which may hold thousands of networks.
const MOST_OF_OURS: usize = 1 << 20;
/// The most entries of metadata. Ours is one; others have some dozens.
const MOST_METADATA: usize = 1000;
/// The longest name of a tensor.
const LONGEST_NAME: usize = 4096;
/// The memory that reading a header takes, as a multiple of its length.
const MULTIPLE: u64 = 16;

/// Refuses a safetensors file, at `path`, whose header is beyond the bounds. What is no such file is left to its reader.
///
/// # Errors
/// [`Error::File`], or [`Error::Memory`] for a header that there is no memory to read.
pub(super) fn check(path: &Path, bytes: &[u8]) -> Result<()> {
    let Some((length, rest)) = bytes.split_first_chunk() else { return Ok(()) };
    let header = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|length| rest.get(..length));
    let Some(header) = header.filter(|header| header.first() == Some(&b'{')) else { return Ok(()) };
    memory::check(MULTIPLE * header.len() as u64, || format!("the header of {}", path.display()))?;
    let mut count = Count::default();
    let mut reader = serde_json::Deserializer::from_slice(header);
    match Tensors(&mut count).deserialize(&mut reader) {
        Err(error) if error.is_data() && count.found.is_some() => {
            let (found, expected) = count.found.unwrap_or_default();
            Err(Error::file(path, found, expected))
        }
        _ if !count.ours && count.tensors > MOST_TENSORS => {
            let found = format!("{} tensors in a file of other software", count.tensors);
            Err(Error::file(path, found, format!("at most {MOST_TENSORS}")))
        }
        _ => Ok(()),
    }
}

/// What was met in a header.
#[derive(Default)]
struct Count {
    tensors: usize,
    /// Whether the metadata are ours.
    ours: bool,
    /// What is beyond a bound, and what was expected.
    found: Option<(String, String)>,
}

impl Count {
    /// Ends the reading.
    fn refuse<E: serde::de::Error>(&mut self, found: String, expected: String) -> E {
        self.found = Some((found, expected));
        E::custom("beyond a bound")
    }
}

/// The tensors of a header, and its metadata.
struct Tensors<'a>(&'a mut Count);

impl<'de> DeserializeSeed<'de> for Tensors<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tensors<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("tensors by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == "__metadata__" {
                map.next_value_seed(Entries(&mut *self.0))?;
                continue;
            }
            if name.len() > LONGEST_NAME {
                let start: String = name.chars().take(40).collect();
                let found = format!("a tensor whose name, {start:?}..., has {} bytes", name.len());
                return Err(self.0.refuse(found, format!("at most {LONGEST_NAME}")));
            }
            map.next_value::<IgnoredAny>()?;
            self.0.tensors += 1;
            if self.0.tensors > MOST_OF_OURS {
                return Err(self.0.refuse(format!("more than {MOST_OF_OURS} tensors"), "fewer".into()));
            }
        }
        Ok(())
    }
}

/// The entries of metadata.
struct Entries<'a>(&'a mut Count);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("metadata by their names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut entries = 0;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            self.0.ours |= name == KEY;
            map.next_value::<IgnoredAny>()?;
            entries += 1;
            if entries > MOST_METADATA {
                let found = format!("metadata of more than {MOST_METADATA} entries");
                return Err(self.0.refuse(found, "fewer".into()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn checked(header: &str) -> Result<()> {
        check("m.st".as_ref(), &[&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat())
    }

    #[test]
    fn headers_beyond_the_bounds_are_refused_and_all_others_left_to_their_reader() {
        let tensor = r#"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#;
        let tensors = |count| (0..count).map(|at| format!("\"t{at}\":{tensor}")).collect::<Vec<_>>().join(",");
        let many = tensors(MOST_TENSORS + 1);
        let keys = (0..=MOST_METADATA).map(|at| format!("\"k{at}\":\"\"")).collect::<Vec<_>>().join(",");
        for good in [
            format!("{{{}}}", tensors(3)),
            format!(r#"{{"__metadata__":{{"mlp-gpu":"{{}}"}},{many}}}"#),
            "{not json".into(),
            r#"{"__metadata__":3}"#.into(),
            "[]".into(),
            String::new(),
        ] {
            checked(&good).unwrap();
        }
        for (bad, part) in [
            (format!("{{{many}}}"), "20001 tensors"),
            (format!(r#"{{"__metadata__":{{{keys}}}}}"#), "metadata of more than 1000 entries"),
            (format!("{{\"{}\":{tensor}}}", "x".repeat(5000)), "has 5000 bytes"),
        ] {
            let error = checked(&bad).unwrap_err().to_string();
            assert!(error.contains(part) && error.len() < 300, "{error}");
        }
    }
}
