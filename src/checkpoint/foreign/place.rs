//! Where batch norms stand among linear layers, as their names and widths say.

use super::fold::Layer;
use super::modules::Norm;
use super::names;

/// Where a batch norm stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Directly behind the layer of this number, before its activation.
    Behind(usize),
    /// Directly before the layer of this number, behind the activation of the one before it.
    Before(usize),
}

/// Places of `norms` among `layers`; none where names and widths leave one open.
pub(super) fn places(norms: &[Norm], layers: &[Layer]) -> Vec<Option<Place>> {
    let place = |(index, norm): (usize, &Norm)| {
        let found = match in_sequence(norm, layers) {
            Sequence::Place(place) => Some(place),
            Sequence::Open => None,
            Sequence::Not => in_block(norm, layers)
                .or_else(|| at_the_inputs(norm))
                .or_else(|| by_number(index, norms, layers))
                .or_else(|| by_width(norm, layers))
                .filter(|place| !norm.keras || is_plain(*place, layers)),
        };
        found.filter(|place| fits(norm, *place, layers))
    };
    norms.iter().enumerate().map(place).collect()
}

/// Whether the place has no activation at either side. Layers of Keras hold theirs, so that their names do not say on which
/// side of it a norm stands.
fn is_plain(place: Place, layers: &[Layer]) -> bool {
    place == Place::Before(0) || place == Place::Behind(layers.len() - 1)
}

fn fits(norm: &Norm, place: Place, layers: &[Layer]) -> bool {
    let width = match place {
        Place::Behind(layer) => layers.get(layer).map(|layer| layer.outputs),
        Place::Before(layer) => layers.get(layer).map(|layer| layer.inputs),
    };
    width == Some(norm.mean.len())
}

fn parent(path: &[String]) -> &[String] {
    path.split_last().map_or(&[], |(_, parent)| parent)
}

/// What a sequence of numbered modules says of a place.
enum Sequence {
    Place(Place),
    /// It leaves the place open.
    Open,
    /// The norm is in none.
    Not,
}

/// The place among modules that are numbered in one sequence: 0 (a layer), 1 (the norm), 2 (an activation, which has no
/// tensors), 3 (a layer).
fn in_sequence(norm: &Norm, layers: &[Layer]) -> Sequence {
    let number = |path: &[String]| path.last().and_then(|part| part.parse::<u64>().ok());
    let Some(own) = number(&norm.path) else { return Sequence::Not };
    let siblings = layers.iter().enumerate().filter(|(_, layer)| parent(&layer.path) == parent(&norm.path));
    let numbers: Vec<(u64, usize)> =
        siblings.filter_map(|(index, layer)| Some((number(&layer.path)?, index))).collect();
    let before = numbers.iter().filter(|(number, _)| *number < own).max();
    let after = numbers.iter().filter(|(number, _)| *number > own).min();
    match (before, after) {
        (None, None) => Sequence::Not,
        (Some((number, layer)), _) if number + 1 == own => Sequence::Place(Place::Behind(*layer)),
        (None, Some((_, layer))) => Sequence::Place(Place::Before(*layer)),
        (Some(_), Some((number, layer))) if own + 1 == *number => Sequence::Place(Place::Before(*layer)),
        _ => Sequence::Open,
    }
}

/// The place in a block that has one linear layer.
fn in_block(norm: &Norm, layers: &[Layer]) -> Option<Place> {
    let block = parent(&norm.path);
    let mut inside = layers.iter().enumerate().filter(|(_, layer)| !block.is_empty() && layer.path.starts_with(block));
    let (index, _) = inside.next()?;
    if inside.next().is_some() || layers.len() == 1 {
        return None;
    }
    [Place::Behind(index), Place::Before(index)].into_iter().find(|place| fits(norm, *place, layers))
}

/// The place before all layers, where the name says it.
fn at_the_inputs(norm: &Norm) -> Option<Place> {
    names::has_word(&norm.path, &["input", "inputs", "in"]).then_some(Place::Before(0))
}

/// The place by the number in the name: bn1 behind fc1; of as many norms as hidden layers, each behind its own.
fn by_number(index: usize, norms: &[Norm], layers: &[Layer]) -> Option<Place> {
    let numbers = |paths: Vec<&[String]>| paths.iter().map(|path| names::number(path)).collect::<Option<Vec<u64>>>();
    let of_norms = numbers(norms.iter().map(|norm| &norm.path[..]).collect());
    let of_layers = numbers(layers.iter().map(|layer| &layer.path[..]).collect());
    let hidden = layers.len() - 1;
    let least = |numbers: &[u64]| numbers.iter().min().copied();
    if let (Some(own), Some(others)) = (of_norms.as_deref(), of_layers.as_deref()) {
        let more = norms.len() == hidden + 1 && least(own).map(|least| least + 1) == least(others);
        if more && Some(own[index]) == least(own) {
            return Some(Place::Before(0));
        }
        let starts_later = norms.len() < hidden && own.iter().all(|number| others.contains(number));
        if more || starts_later || least(own) == least(others) {
            let mut same = (0..layers.len()).filter(|&layer| others[layer] == own[index]);
            return same.next().filter(|_| same.next().is_none()).map(Place::Behind);
        }
    }
    let all_fit = || norms.iter().enumerate().all(|(layer, norm)| fits(norm, Place::Behind(layer), layers));
    (norms.len() == hidden && all_fit()).then_some(Place::Behind(index))
}

/// The one place that has the norm's width.
fn by_width(norm: &Norm, layers: &[Layer]) -> Option<Place> {
    let hidden = (0..layers.len() - 1).map(Place::Behind);
    let mut all = [Place::Before(0)].into_iter().chain(hidden).filter(|place| fits(norm, *place, layers));
    all.next().filter(|_| all.next().is_none())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(name: &str) -> Vec<String> {
        name.split('.').map(str::to_owned).collect()
    }

    fn norm(name: &str, width: usize) -> Norm {
        let same = |value| vec![value; width];
        Norm {
            name: name.into(),
            path: path(name),
            gain: same(1.0),
            shift: same(0.0),
            mean: same(0.0),
            variance: same(1.0),
            epsilon: 0.0,
            keras: false,
        }
    }

    fn layers(names: &[&str], widths: &[usize]) -> Vec<Layer> {
        let layer = |(name, widths): (&&str, &[usize])| Layer {
            name: (*name).into(),
            path: path(name),
            inputs: widths[0],
            outputs: widths[1],
            weights: Vec::new(),
            bias: Vec::new(),
        };
        names.iter().zip(widths.windows(2)).map(layer).collect()
    }

    #[test]
    fn a_sequence_says_the_side_of_the_activation() {
        let layers = layers(&["0", "3", "6"], &[4, 8, 8, 2]);
        let place = |name: &str, width| places(&[norm(name, width)], &layers)[0];
        assert_eq!(place("1", 8), Some(Place::Behind(0)));
        assert_eq!(place("2", 8), Some(Place::Before(1)));
        assert_eq!(place("7", 2), Some(Place::Behind(2)));
        // In the middle of a gap, behind the end, or of another width.
        let wide = self::layers(&["0", "4"], &[4, 8, 2]);
        assert_eq!(places(&[norm("2", 8)], &wide), [None]);
        assert_eq!(places(&[norm("9", 2)], &wide), [None]);
        assert_eq!(places(&[norm("1", 7)], &wide), [None]);
        let later = self::layers(&["net.1", "net.3"], &[4, 8, 2]);
        assert_eq!(places(&[norm("net.0", 4)], &later), [Some(Place::Before(0))]);
    }

    #[test]
    fn two_norms_at_one_place_are_refused() {
        let mut layers = layers(&["0.fc", "1.fc"], &[8, 8, 8]);
        layers.iter_mut().for_each(|layer| (layer.weights, layer.bias) = (vec![1.0; 64], vec![0.0; 8]));
        let norms = [norm("0.bn", 8), norm("0.norm", 8)];
        let fault = super::super::fold_norms(&norms, None, &mut layers, &mut Vec::new()).unwrap_err();
        assert!(fault.found.contains("0.bn and 0.norm at one place"), "{}", fault.found);
        let named = Some(vec![Place::Before(0); 2]);
        assert!(super::super::fold_norms(&norms, named, &mut layers, &mut Vec::new()).is_err());
        let sides = Some(vec![Place::Before(0), Place::Behind(0)]);
        super::super::fold_norms(&norms, sides, &mut layers, &mut Vec::new()).unwrap();
    }

    #[test]
    fn numbers_blocks_and_widths_say_the_layer() {
        let fc = layers(&["fc1", "fc2", "fc3"], &[4, 8, 8, 2]);
        let behind = |layers: &[usize]| layers.iter().map(|layer| Some(Place::Behind(*layer))).collect::<Vec<_>>();
        assert_eq!(places(&[norm("bn1", 8), norm("bn2", 8)], &fc), behind(&[0, 1]));
        assert_eq!(places(&[norm("bn0", 8), norm("bn1", 8)], &fc), behind(&[0, 1]));
        assert_eq!(places(&[norm("bn2", 8)], &fc), behind(&[1]));
        let three = [norm("bn0", 4), norm("bn1", 8), norm("bn2", 8)];
        assert_eq!(places(&three, &fc), [Some(Place::Before(0)), Some(Place::Behind(0)), Some(Place::Behind(1))]);
        assert_eq!(places(&[norm("input_bn", 4)], &fc), [Some(Place::Before(0))]);
        assert_eq!(places(&[norm("bn", 8)], &fc), [None]);
        let blocks = layers(&["blocks.0.fc", "blocks.1.fc", "head"], &[4, 8, 8, 2]);
        assert_eq!(places(&[norm("blocks.0.bn", 8), norm("blocks.1.bn", 8)], &blocks), behind(&[0, 1]));
        let two = layers(&["fc", "out"], &[4, 8, 2]);
        assert_eq!(places(&[norm("bn", 8)], &two), behind(&[0]));
        let keras = Norm { keras: true, ..norm("batch_normalization", 8) };
        assert_eq!(places(&[keras], &two), [None]);
    }
}
