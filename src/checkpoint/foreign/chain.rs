//! The order of layers: a path that uses each layer once, each of which takes what the one before it gives.

/// The most layers that are put in order: more are no perceptron.
pub(super) const MOST: usize = 500;
/// Tries after which no further order is looked for.
const TRIES: usize = 1_000_000;

/// At most `most` orders of layers of `shapes` (inputs, outputs), none of which puts a layer before one that must be `before`
/// it: `before(a, b)` where a must. Layers are tried in the order in which they are given.
pub(super) fn orders(shapes: &[(usize, usize)], before: impl Fn(usize, usize) -> bool, most: usize) -> Vec<Vec<usize>> {
    let count = shapes.len();
    let earlier = (0..count).map(|b| (0..count).filter(|&a| a != b && before(a, b)).collect()).collect();
    let mut search =
        Search { shapes, earlier, used: vec![false; count], path: Vec::new(), found: Vec::new(), most, tries: 0 };
    if count > 0 && count <= MOST && ends_fit(shapes) {
        search.extend();
    }
    search.found
}

/// Whether a path may exist: all widths but its first and last are given as often as they are taken.
fn ends_fit(shapes: &[(usize, usize)]) -> bool {
    let mut balance = std::collections::BTreeMap::new();
    for (inputs, outputs) in shapes {
        *balance.entry(inputs).or_insert(0i64) += 1;
        *balance.entry(outputs).or_insert(0i64) -= 1;
    }
    balance.values().map(|balance| balance.abs()).sum::<i64>() <= 2
}

struct Search<'a> {
    shapes: &'a [(usize, usize)],
    /// For each layer, those that must come before it.
    earlier: Vec<Vec<usize>>,
    used: Vec<bool>,
    path: Vec<usize>,
    found: Vec<Vec<usize>>,
    most: usize,
    tries: usize,
}

impl Search<'_> {
    fn extend(&mut self) {
        if self.path.len() == self.shapes.len() {
            self.found.push(self.path.clone());
            return;
        }
        for layer in 0..self.shapes.len() {
            let fits = self.path.last().is_none_or(|&last| self.shapes[last].1 == self.shapes[layer].0);
            if self.used[layer] || !fits || !self.earlier[layer].iter().all(|&earlier| self.used[earlier]) {
                continue;
            }
            self.tries += 1;
            if self.found.len() >= self.most || self.tries > TRIES {
                return;
            }
            self.used[layer] = true;
            self.path.push(layer);
            self.extend();
            self.path.pop();
            self.used[layer] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_alone_say_the_order_where_widths_differ() {
        assert_eq!(orders(&[(48, 32), (32, 10), (64, 48)], |_, _| false, 4), [[2, 0, 1]]);
        assert_eq!(orders(&[(6, 3)], |_, _| false, 4), [[0]]);
        assert!(orders(&[(6, 3), (4, 2)], |_, _| false, 4).is_empty());
        assert!(orders(&[], |_, _| false, 4).is_empty());
    }

    #[test]
    fn of_several_orders_the_names_take_one() {
        let shapes = [(8, 8), (8, 8), (4, 8), (8, 2)];
        assert_eq!(orders(&shapes, |_, _| false, 4), [[2, 0, 1, 3], [2, 1, 0, 3]]);
        assert_eq!(orders(&shapes, |a, b| (a, b) == (1, 0), 4), [[2, 1, 0, 3]]);
        // To an encoder and back: either may come first.
        assert_eq!(orders(&[(8, 4), (4, 8)], |_, _| false, 4).len(), 2);
    }

    #[test]
    fn many_layers_end() {
        let shapes = vec![(8, 8); MOST];
        assert_eq!(orders(&shapes, |a, b| a < b, 2).len(), 1);
        assert_eq!(orders(&shapes, |_, _| false, 2).len(), 2);
        assert!(orders(&vec![(8, 8); MOST + 1], |_, _| false, 2).is_empty());
    }
}
