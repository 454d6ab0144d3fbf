//! Columns that number the rows, and so say nothing of them but where they stood in the file.

/// The least rows that tell a number of a row from any other.
const LEAST_ROWS: usize = 10;

/// What a column's name says of what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Called {
    /// Anything.
    Anything,
    /// What tells rows apart, such as an id.
    Id,
    /// The number of a row: it has no name, or one that software gives to these.
    RowNumber,
}

/// What the name of a column says.
pub(super) fn called(name: Option<&str>) -> Called {
    let Some(name) = name else { return Called::Anything };
    let low = name.trim().to_ascii_lowercase();
    let plain = low.replace(['_', ' ', '-', '.'], "");
    match &plain[..] {
        "" | "index" | "rownames" | "rowname" | "rownumber" | "rowid" | "row" | "rownum" | "levelelement0" => {
            return Called::RowNumber;
        }
        _ if low.starts_with("unnamed:") || low == "x.1" => return Called::RowNumber,
        "id" | "ids" | "nr" | "no" | "uuid" | "guid" | "key" => return Called::Id,
        _ => {}
    }
    let parted = ["_id", " id", "-id", ".id"].iter().any(|end| low.ends_with(end));
    let humps = name.ends_with("ID") || name.strip_suffix("Id").is_some_and(|rest| rest.ends_with(char::is_lowercase));
    if parted || humps { Called::Id } else { Called::Anything }
}

/// Whether `values`, in the order of their rows, number the rows: whole, each once, and, but for a column that is called after
/// the numbers of rows, counted from 0 or 1 on without larger gaps than parts of a table leave.
pub(super) fn are_row_numbers(values: &[f64], called: Called) -> bool {
    if called == Called::Anything || values.len() < LEAST_ROWS {
        return false;
    }
    if values.iter().any(|value| value.fract() != 0.0 || *value < 0.0) {
        return false;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.windows(2).all(|pair| pair[0] < pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ids_and_of_row_numbers_are_known() {
        for name in ["", "Unnamed: 0", "index", "rownames", "row_names"] {
            assert_eq!(called(Some(name)), Called::RowNumber, "{name}");
        }
        for name in ["id", "ID", "customer_id", "PassengerId", "caseID", "Id"] {
            assert_eq!(called(Some(name)), Called::Id, "{name}");
        }
        for name in [Some("valid"), Some("humid"), Some("time"), Some("PAID"), None].into_iter().take(3).chain([None]) {
            assert_eq!(called(name), Called::Anything, "{name:?}");
        }
    }

    #[test]
    fn whole_numbers_that_come_once_number_the_rows() {
        let counted: Vec<f64> = (0..50).map(|row| f64::from(row * 3 % 50)).collect();
        assert!(are_row_numbers(&counted, Called::RowNumber) && are_row_numbers(&counted, Called::Id));
        assert!(!are_row_numbers(&counted, Called::Anything));
        assert!(!are_row_numbers(&counted[..5], Called::RowNumber));
        let twice: Vec<f64> = (0..50).map(|row| f64::from(row / 2)).collect();
        assert!(!are_row_numbers(&twice, Called::RowNumber));
        let broken: Vec<f64> = counted.iter().map(|value| value + 0.5).collect();
        assert!(!are_row_numbers(&broken, Called::RowNumber));
    }
}
