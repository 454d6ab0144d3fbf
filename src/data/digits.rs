//! placeholder while the generator is made
/// images, labels
pub fn generate(_seed: u64, _first: u64, count: usize) -> (Vec<u8>, Vec<u8>) { (vec![0; count * 784], vec![0; count]) }
