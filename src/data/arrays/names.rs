//! What arrays are by their names: the inputs or the targets of a part, as in `x_train`, `train_images`, `testY`,
//! `emnist-letters-train-labels-idx1-ubyte`.

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
            // A word that says what another one has said is one of the others, as in train_test.
            if (part.is_none() && role.is_none())
                || (part.is_some() && meaning.part.is_some())
                || (role.is_some() && meaning.role.is_some())
            {
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
        "train" | "training" | "trn" | "tr" => Some(Part::Train),
        "test" | "testing" | "tst" | "te" | "t10k" => Some(Part::Test),
        "val" | "valid" | "validation" | "dev" => Some(Part::Validation),
        _ => None,
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

/// A part and a role written as one word, as in xtrain and testlabels.
fn joined(word: &str) -> (Option<Part>, Option<Role>) {
    let split = |at: usize| {
        let (first, second) = word.split_at_checked(at)?;
        let of = |one, other| Some((Some(part(one)?), Some(role(other)?)));
        of(first, second).or_else(|| of(second, first))
    };
    (1..word.len()).find_map(split).unwrap_or((None, None))
}

/// Arrays of one part by their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pair {
    pub(super) inputs: Option<String>,
    pub(super) targets: Option<String>,
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

    /// All its arrays.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        [&self.train, &self.test, &self.validation].into_iter().flat_map(|pair| pair.inputs.iter().chain(&pair.targets))
    }

    /// Those of one data set among `names`, each with its meaning.
    ///
    /// # Errors
    /// What was found and what was expected, where the names do not tell.
    pub(super) fn by_names(names: &[(String, Meaning)]) -> Result<Self, (String, String)> {
        let mut groups: Vec<(&[String], Self)> = Vec::new();
        for (name, Meaning { group, part, role }) in names {
            let Some(role) = role else { continue };
            let at = groups.iter().position(|(other, _)| *other == &group[..]).unwrap_or_else(|| {
                groups.push((group, Self::default()));
                groups.len() - 1
            });
            let pair = groups[at].1.of(*part);
            let place = if *role == Role::Inputs { &mut pair.inputs } else { &mut pair.targets };
            if let Some(other) = place {
                let what = if *role == Role::Inputs { "inputs" } else { "targets" };
                return Err((
                    format!("{other} and {name}, which may both be the {what} of one part"),
                    "one of the two".into(),
                ));
            }
            *place = Some(name.clone());
        }
        // Inputs without targets may stand beside a data set, and so may targets of another kind.
        let whole = |(_, chosen): &&(&[String], Self)| {
            [&chosen.train, &chosen.test, &chosen.validation]
                .iter()
                .any(|pair| pair.inputs.is_some() && pair.targets.is_some())
        };
        let several: Vec<_> = groups.iter().filter(whole).collect();
        match (&several[..], groups.len()) {
            ([(_, one)], _) => Ok(one.clone()),
            ([], 1) => Ok(groups.remove(0).1),
            ([], _) => {
                let list: Vec<String> = names.iter().map(|(name, _)| name.clone()).collect();
                let names =
                    if list.is_empty() { "no arrays".into() } else { format!("arrays {}", classes::list(&list)) };
                Err((names, "x and y, or x_train, y_train, x_test and y_test, or names like these".into()))
            }
            (several, _) => {
                let groups: Vec<String> = several.iter().map(|(group, _)| group.join("-")).collect();
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
        assert_eq!(chosen(&["data", "target", "target_names", "DESCR"]), one("data", "target"));
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
