//! What arrays are by their names: the inputs or the targets of a part, as in `x_train`, `train_images`, `testY`,
//! `emnist-letters-train-labels-idx1-ubyte`.

use std::collections::BTreeMap;

use crate::data::split::PARTS;
use crate::data::{Part, classes};

/// What an array holds of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Inputs,
    Targets,
}

/// What a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    /// Its other words: the name of a data set among several, or what makes it something else.
    pub(super) group: Vec<String>,
    pub(super) part: Option<Part>,
    pub(super) role: Option<Role>,
}

impl Meaning {
    /// What `name` means.
    pub(super) fn of(name: &str) -> Self {
        let mut meaning = Self { group: Vec::new(), part: None, role: None };
        for word in words(name) {
            let (part, role) = match (part(&word), role(&word)) {
                (None, None) => joined(&word),
                found => found,
            };
            // A second part is one of the other words, as in train_test; of two roles the last one counts, as in data_y.
            if (part.is_none() && role.is_none()) || (part.is_some() && meaning.part.is_some()) {
                meaning.group.push(word);
                continue;
            }
            meaning.part = part.or(meaning.part);
            meaning.role = role.or(meaning.role);
        }
        meaning
    }
}

/// The words of a name in lower case: what stands between signs, and at changes from lower to upper case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for character in name.chars() {
        if !character.is_alphanumeric() || (before.is_lowercase() && character.is_uppercase()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        before = character;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn part(word: &str) -> Option<Part> {
    match word {
        "trn" | "tr" => Some(Part::Train),
        "tst" | "te" | "t10k" => Some(Part::Test),
        _ => PARTS.iter().find(|(_, names)| names.contains(&word)).map(|(part, _)| *part),
    }
}

fn role(word: &str) -> Option<Role> {
    match word {
        "x" | "xs" | "image" | "images" | "img" | "imgs" | "data" | "feature" | "features" | "feat" | "feats"
        | "input" | "inputs" | "sample" | "samples" => Some(Role::Inputs),
        "y" | "ys" | "label" | "labels" | "lbl" | "lbls" | "target" | "targets" | "class" | "classes" | "output"
        | "outputs" => Some(Role::Targets),
        _ => None,
    }
}

/// A part and a role written as one word, as in xtrain and testlabels. A short part stands behind, as in Xtr, so that try is none.
fn joined(word: &str) -> (Option<Part>, Option<Role>) {
    let split = |at: usize| {
        let (first, second) = word.split_at_checked(at)?;
        let of = |one, other| Some((Some(part(one)?), Some(role(other)?)));
        of(second, first).or_else(|| of(first, second).filter(|_| first.len() > 2))
    };
    (1..word.len()).find_map(split).unwrap_or((None, None))
}

/// Words by which an array is about rows and columns, and none of them: `target_names`, `data_module`.
const ABOUT: [&str; 9] = ["name", "names", "module", "description", "descr", "filename", "ids", "id", "mapping"];

/// Arrays of one part by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pair {
    pub(super) inputs: Option<String>,
    pub(super) targets: Option<String>,
}

impl Pair {
    pub(super) fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }

    fn is_whole(&self) -> bool {
        self.inputs.is_some() && self.targets.is_some()
    }

    /// Its arrays.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.inputs.iter().chain(&self.targets)
    }
}

/// The arrays that make up a data set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Chosen {
    pub(super) train: Pair,
    pub(super) test: Pair,
    pub(super) validation: Pair,
}

impl Chosen {
    /// The arrays of `part`. One that names no part belongs to the rows to train on.
    fn of(&mut self, part: Option<Part>) -> &mut Pair {
        match part {
            None | Some(Part::Train) => &mut self.train,
            Some(Part::Test) => &mut self.test,
            Some(Part::Validation) => &mut self.validation,
        }
    }

    /// The arrays to train on, to test, and to validate.
    pub(super) fn parts(&self) -> [&Pair; 3] {
        [&self.train, &self.test, &self.validation]
    }

    /// All its arrays.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.parts().into_iter().flat_map(Pair::names)
    }

    /// Those of one data set among `names`, each with its meaning.
    ///
    /// # Errors
    /// What was found and what was expected, where the names do not tell.
    pub(super) fn by_names(names: &[(String, Meaning)]) -> Result<Self, (String, String)> {
        let mut groups: BTreeMap<&[String], Self> = BTreeMap::new();
        for (name, Meaning { group, part, role }) in names {
            let Some(role) = role.filter(|_| !group.iter().any(|word| ABOUT.contains(&&word[..]))) else { continue };
            let pair = groups.entry(group).or_default().of(*part);
            let place = if role == Role::Inputs { &mut pair.inputs } else { &mut pair.targets };
            if let Some(other) = place {
                let what = if role == Role::Inputs { "inputs" } else { "targets" };
                return Err((
                    format!("{other} and {name}, which may both be the {what} of one part"),
                    "one of the two".into(),
                ));
            }
            *place = Some(name.clone());
        }
        // Inputs without targets may stand beside a data set, and so may targets of another kind.
        let whole = |(_, chosen): &(&&[String], &Self)| chosen.parts().iter().any(|pair| pair.is_whole());
        let several: Vec<_> = groups.iter().filter(whole).collect();
        match (&several[..], groups.len()) {
            ([(_, one)], _) => Ok((*one).clone()),
            ([], 1) => Ok(groups.pop_first().map(|(_, one)| one).unwrap_or_default()),
            ([], _) => {
                let list: Vec<String> = names.iter().map(|(name, _)| name.clone()).collect();
                let names =
                    if list.is_empty() { "no arrays".into() } else { format!("arrays {}", classes::list(&list)) };
                Err((names, "x and y, or x_train, y_train, x_test and y_test, or names like these".into()))
            }
            (several, _) => {
                let groups: Vec<String> = several
                    .iter()
                    .map(|(group, one)| match group {
                        [] => one.names().cloned().collect::<Vec<_>>().join(" and "),
                        words => words.join("-"),
                    })
                    .collect();
                Err((format!("several data sets: {}", classes::list(&groups)), "one of them".into()))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chosen(names: &[&str]) -> Result<Chosen, (String, String)> {
        let names: Vec<_> = names.iter().map(|name| ((*name).to_owned(), Meaning::of(name))).collect();
        Chosen::by_names(&names)
    }

    fn pair(inputs: &str, targets: &str) -> Pair {
        let name = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        Pair { inputs: name(inputs), targets: name(targets) }
    }

    #[test]
    fn names_of_all_habits_say_part_and_role() {
        for (name, part, role) in [
            ("x_train", Some(Part::Train), Some(Role::Inputs)),
            ("Y_TEST", Some(Part::Test), Some(Role::Targets)),
            ("trainX", Some(Part::Train), Some(Role::Inputs)),
            ("testlabels", Some(Part::Test), Some(Role::Targets)),
            ("Xtr", Some(Part::Train), Some(Role::Inputs)),
            ("yte", Some(Part::Test), Some(Role::Targets)),
            ("val_images", Some(Part::Validation), Some(Role::Inputs)),
            ("X", None, Some(Role::Inputs)),
            ("target", None, Some(Role::Targets)),
            ("train", Some(Part::Train), None),
        ] {
            assert_eq!(Meaning::of(name), Meaning { group: vec![], part, role }, "{name}");
        }
        let group = |name: &str| Meaning::of(name).group;
        assert_eq!(group("emnist-letters-train-images-idx3-ubyte"), ["emnist", "letters", "idx3", "ubyte"]);
        assert_eq!(group("label_names"), ["names"]);
        assert_eq!(group("train_test"), ["test"]);
        assert_eq!((group("weights"), Meaning::of("weights").role), (vec!["weights".into()], None));
    }

    #[test]
    fn arrays_that_belong_together_are_chosen_and_what_is_not_clear_is_refused() {
        let all = chosen(&["train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"]);
        let expected = Chosen {
            train: pair("train_images", "train_labels"),
            test: pair("test_images", "test_labels"),
            validation: pair("val_images", "val_labels"),
        };
        assert_eq!(all, Ok(expected));
        let one = |inputs, targets| Ok(Chosen { train: pair(inputs, targets), ..Chosen::default() });
        let iris = ["data", "target", "target_names", "feature_names", "DESCR", "data_module", "filename"];
        assert_eq!(chosen(&iris), one("data", "target"));
        assert_eq!(chosen(&["mnist_x", "mnist_y", "classes_names"]), one("mnist_x", "mnist_y"));
        assert_eq!(chosen(&["x_train"]), one("x_train", ""));
        for (names, part) in [
            (&["data", "images", "target"][..], "data and images"),
            (&["a", "b"], "\"a\", \"b\""),
            (&[], "no arrays"),
            (&["digits_x", "digits_y", "letters_x", "letters_y"], "\"digits\", \"letters\""),
            (&["x", "x_train", "y"], "x and x_train"),
        ] {
            let (found, _) = chosen(names).unwrap_err();
            assert!(found.contains(part), "{found}");
        }
    }
}
