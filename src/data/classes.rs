//! Classes from labels of any kind. Their names are the labels as written, and their order depends on the names alone.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use super::Note;
use super::truth::truth;

/// The most classes that a data set may have: the confusion matrix grows with their square.
pub const MAX_CLASSES: usize = 4096;

/// Sorts class names: by value where all are numbers, else as text.
pub fn sort(names: &mut [String]) {
    let value = |name: &String| name.parse::<f64>().ok().filter(|value| value.is_finite());
    let numbers = names.iter().all(|name| value(name).is_some());
    names.sort_by(|a, b| {
        let by_value = match (numbers, value(a), value(b)) {
            (true, Some(a), Some(b)) => a.total_cmp(&b),
            _ => Ordering::Equal,
        };
        by_value.then_with(|| a.cmp(b))
    });
}

/// The name of the class that `label` says, which is the whole number `number` if it is one: NumPy and pandas write those among
/// others as 1.0 or 1.000000000000000000e+00.
pub fn name(label: &str, number: Option<f64>) -> Cow<'_, str> {
    match number.filter(|number| number.fract() == 0.0) {
        Some(number) if label.contains(['.', 'e', 'E']) => format!("{:.0}", number + 0.0).into(),
        _ => label.into(),
    }
}

/// At most 20 of `names`, in quotes and separated by commas, for messages.
pub fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(20).map(|name| format!("{name:?}")).collect();
    let rest = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &rest
}

/// Gives classes their numbers in the order in which labels appear.
#[derive(Debug, Default)]
pub struct Numbering {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    closed: bool,
    /// The first label that says yes or no in another way than the class that it was taken as, and that class.
    respelt: Option<(String, u32)>,
}

impl Numbering {
    /// A numbering of `classes` that takes no others. Where they are a yes and a no, labels may say that in another way: software
    /// writes True, TRUE, 1 and yes for the same.
    pub fn of(classes: &[String]) -> Self {
        let numbers = classes.iter().cloned().zip(0..).collect();
        Self { names: classes.to_vec(), numbers, closed: true, respelt: None }
    }

    /// The classes so far, in the order in which they appeared.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of classes so far.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no classes so far.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The number of the class `label`.
    ///
    /// # Errors
    /// A text saying what was expected instead, where no further class is taken.
    pub fn number(&mut self, label: &str) -> Result<u32, String> {
        if let Some(&number) = self.numbers.get(label) {
            return Ok(number);
        }
        if self.closed {
            let number = self.same_truth(label).ok_or_else(|| format!("one of the classes {}", list(&self.names)))?;
            self.respelt.get_or_insert_with(|| (label.to_owned(), number));
            return Ok(number);
        }
        if self.names.len() == MAX_CLASSES {
            return Err(format!("at most {MAX_CLASSES} classes: are these the labels?"));
        }
        let number = self.names.len() as u32;
        self.names.push(label.to_owned());
        self.numbers.insert(label.to_owned(), number);
        Ok(number)
    }

    /// The number of the class that says yes or no as `label` does, where the classes are a yes and a no.
    fn same_truth(&self, label: &str) -> Option<u32> {
        let [first, second] = self.names.first_chunk().filter(|_| self.names.len() == 2)?;
        let (first, second, label) = (truth(first)?, truth(second)?, truth(label)?);
        (first != second).then(|| u32::from(label == second))
    }

    /// What to say of labels that were written in another way than their class.
    pub(super) fn note(&self) -> Option<Note> {
        let (label, number) = self.respelt.as_ref()?;
        Some(format!("the label {label:?} is taken as the class {:?}", self.names[*number as usize]).into())
    }

    /// Returns the names in the order of [`sort`] and renumbers `labels` to it. Known classes keep their numbers.
    pub fn finish(self, labels: &mut [u32]) -> Vec<String> {
        if self.closed {
            return self.names;
        }
        let mut names = self.names;
        let appeared = names.clone();
        sort(&mut names);
        let places: HashMap<&String, u32> = names.iter().zip(0..).collect();
        let places: Vec<u32> = appeared.iter().map(|name| places[name]).collect();
        for label in labels {
            *label = places[*label as usize];
        }
        names
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn classes(labels: &[&str]) -> (Vec<String>, Vec<u32>) {
        let mut numbering = Numbering::default();
        let mut numbers: Vec<u32> = labels.iter().map(|label| numbering.number(label).unwrap()).collect();
        (numbering.finish(&mut numbers), numbers)
    }

    #[test]
    fn numbers_are_sorted_by_value_and_anything_else_as_text() {
        assert_eq!(classes(&["10", "9", "-1", "9"]), (["-1", "9", "10"].map(String::from).to_vec(), vec![2, 1, 0, 1]));
        assert_eq!(classes(&["b", "10", "9"]), (["10", "9", "b"].map(String::from).to_vec(), vec![2, 0, 1]));
    }

    #[test]
    fn known_classes_keep_their_numbers_and_take_no_other() {
        let mut numbering = Numbering::of(&["z".into(), "a".into()]);
        assert_eq!(numbering.number("a"), Ok(1));
        assert_eq!(numbering.number("b"), Err("one of the classes \"z\", \"a\"".into()));
        assert_eq!(numbering.finish(&mut [1]), ["z", "a"]);
    }

    #[test]
    fn labels_may_say_yes_and_no_in_another_way_where_the_classes_are_these() {
        let number = |classes: [&str; 2], label: &str| {
            let mut numbering = Numbering::of(&classes.map(String::from));
            let number = numbering.number(label);
            (number.ok(), numbering.note().map(|note| note.text))
        };
        assert_eq!(number(["0", "1"], "1"), (Some(1), None));
        let note = |label, class| Some(format!("the label {label:?} is taken as the class {class:?}"));
        assert_eq!(number(["0", "1"], "True"), (Some(1), note("True", "1")));
        assert_eq!(number(["True", "False"], "0"), (Some(1), note("0", "False")));
        assert_eq!(number(["False", "True"], "TRUE"), (Some(1), note("TRUE", "True")));
        for (classes, label) in [(["0", "2"], "True"), (["yes", "True"], "1"), (["a", "b"], "yes"), (["0", "1"], "2")] {
            assert_eq!(number(classes, label), (None, None), "{classes:?} {label}");
        }
    }

    #[test]
    fn too_many_classes_are_refused() {
        let mut numbering = Numbering::default();
        assert!((0..MAX_CLASSES).all(|class| numbering.number(&class.to_string()).is_ok()));
        assert!(numbering.number("0").is_ok() && numbering.number("one more").unwrap_err().contains("4096"));
    }
}
