//! ROC curves.

use super::share;
use crate::report::chart::axes::Entry;
use crate::report::chart::{Axis, Ink, Paint, Picture, Plane, Shape, WIDTH, short};
use crate::report::evaluation::{Class, Classes};

/// The classes that have a colour and a name: of more, those with the least area.
const NAMED: usize = 5;
/// Height of the plane: about as high as it is wide.
const HEIGHT: f64 = 300.0;

/// The ROC curve of the second of two classes, or of each of more against the rest; none where no class has one.
pub fn roc(classes: &Classes) -> Option<Picture> {
    let mut curves: Vec<&Class> = classes.classes.iter().filter(|class| !class.roc.is_empty()).collect();
    if curves.is_empty() {
        return None;
    }
    let area = |class: &Class| class.roc_auc.unwrap_or(1.0);
    curves.sort_by(|one, other| area(one).total_cmp(&area(other)));
    let (named, others) = curves.split_at(curves.len().min(NAMED));
    const DASHES: [Option<[f64; 2]>; NAMED] =
        [None, Some([7.0, 3.0]), Some([2.5, 2.5]), Some([10.0, 3.0]), Some([5.0, 2.0])];
    let ink = |at: usize| -> Ink { Paint::Series(at).into() };
    let name = |class: &&Class| format!("{} ({})", short(&class.name, 24), share(class.roc_auc));
    let names: Vec<String> = named.iter().map(name).collect();
    let mut entries: Vec<Entry<'_>> =
        names.iter().enumerate().map(|(at, name)| (name.as_str(), ink(at), DASHES[at])).collect();
    let rest = match others.len() {
        1 => "another class".into(),
        count => format!("{count} other classes"),
    };
    if !others.is_empty() {
        entries.push((&rest, Paint::Series(5).thin(0.6), None));
    }
    let (x, y) = (Axis::between("false positive rate", 0.0, 1.0), Axis::between("ROC: true positive rate", 0.0, 1.0));
    let about = format!("ROC curves of {} classes; the area under each is in brackets.", curves.len());
    let (mut picture, plane) = Plane::new(&about, (WIDTH, HEIGHT), x, y, &entries);
    let chance = [(0.0, 0.0), (1.0, 1.0)];
    plane.line(&mut picture, &chance, Paint::Muted, 1.0, Some([3.0, 3.0]));
    for class in others {
        plane.line(&mut picture, &class.roc, Paint::Series(5).thin(0.6), 1.2, None);
    }
    for (at, class) in named.iter().enumerate().rev() {
        plane.line(&mut picture, &class.roc, ink(at), 2.0, DASHES[at]);
    }
    let mean = share(classes.roc_auc);
    let told = if classes.classes.len() == 2 { format!("area {mean}") } else { format!("mean area {mean}") };
    picture.add(Shape::Tip(plane.place(), told));
    Some(picture)
}
