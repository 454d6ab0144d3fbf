//! Columns that number the rows, and so say nothing of them but where they stood in the file.

/// The least rows that tell a number of a row from any other.
const LEAST_ROWS: usize = 10;

/// Whether a column's name says that it tells rows apart: it is that of an id, or it is empty or one that software gives to the
/// numbers of rows.
pub(super) fn tells_rows_apart(name: &str) -> bool {
    let low = name.trim().to_ascii_lowercase();
    let plain = low.replace(['_', ' ', '-', '.'], "");
    match &plain[..] {
        "" | "index" | "rownames" | "rowname" | "rownumber" | "rowid" | "row" | "rownum" | "indexlevel0" => {
            return true;
        }
        _ if low.starts_with("unnamed:") || low == "x.1" => return true,
        "id" | "ids" | "nr" | "no" | "uuid" | "guid" | "key" => return true,
        _ => {}
    }
    let parted = ["_id", " id", "-id", ".id"].iter().any(|end| low.ends_with(end));
    let before = name.strip_suffix("ID").or_else(|| name.strip_suffix("Id"));
    let humps = before.is_some_and(|before| before.ends_with(char::is_lowercase));
    parted || humps
}

/// Whether `values`, of a column whose name says so, number the rows: whole, from 0 on, each once.
pub(super) fn are_row_numbers(values: &[f64]) -> bool {
    if values.len() < LEAST_ROWS {
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
        for name in ["", "Unnamed: 0", "index", "__index_level_0__", "rownames", "row_names"] {
            assert!(tells_rows_apart(name), "{name}");
        }
        for name in ["id", "ID", "customer_id", "PassengerId", "caseID", "Id"] {
            assert!(tells_rows_apart(name), "{name}");
        }
        for name in ["valid", "humid", "time", "PAID", "GRID"] {
            assert!(!tells_rows_apart(name), "{name}");
        }
    }

    #[test]
    fn whole_numbers_that_come_once_number_the_rows() {
        let counted: Vec<f64> = (0..50).map(|row| f64::from(row * 3 % 50)).collect();
        assert!(are_row_numbers(&counted));
        assert!(!are_row_numbers(&counted[..5]));
        let twice: Vec<f64> = (0..50).map(|row| f64::from(row / 2)).collect();
        assert!(!are_row_numbers(&twice));
        let broken: Vec<f64> = counted.iter().map(|value| value + 0.5).collect();
        assert!(!are_row_numbers(&broken));
    }
}
