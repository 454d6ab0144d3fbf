//! Dates and times as numbers.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// The forms of dates: of those in one line, at most one may fit a column.
const DATES: [&[&str]; 6] = [
    &["%Y-%m-%d"],
    &["%Y/%m/%d"],
    &["%d.%m.%Y"],
    &["%m/%d/%Y", "%d/%m/%Y"],
    &["%m-%d-%Y", "%d-%m-%Y"],
    &["%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"],
];
/// What may follow a date, with what stands between.
const TIMES: [&str; 8] =
    ["", " %H:%M", " %H:%M:%S%.f", "T%H:%M", "T%H:%M:%S%.f", "T%H:%M:%S%.f%#z", " %H:%M:%S%.f%#z", " %I:%M:%S %p"];
/// Times of a day.
const CLOCKS: [&str; 2] = ["%H:%M", "%H:%M:%S%.f"];
/// A month of a year, read with a day before it.
const MONTHS: [&str; 3] = ["%b-%Y", "%b %Y", "%Y-%m"];

/// The form that all of some texts have.
#[derive(Debug, PartialEq)]
pub(super) enum Form {
    /// This one alone.
    One(String),
    /// More than one: day and month cannot be told apart.
    Unclear,
    /// None.
    None,
}

/// The form that all of `texts` have.
pub(super) fn form<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Form {
    let Some(first) = texts.clone().next() else { return Form::None };
    // Most text is no date at first sight.
    if first.len() > 40 || !first.bytes().any(|byte| byte.is_ascii_digit()) {
        return Form::None;
    }
    let fits = |form: &String| days(first, form).is_some() && texts.clone().all(|text| days(text, form).is_some());
    for dates in DATES {
        let all = dates.iter().flat_map(|date| TIMES.iter().map(move |time| format!("{date}{time}")));
        let mut fitting = all.filter(fits);
        if let Some(form) = fitting.next() {
            let day_first = |form: &str| form.starts_with("%d");
            let other = fitting.any(|other| day_first(&other) != day_first(&form));
            return if other { Form::Unclear } else { Form::One(form) };
        }
    }
    let mut others = CLOCKS.iter().chain(&MONTHS).map(|form| (*form).to_owned());
    others.find(fits).or_else(|| mixed(texts)).map_or(Form::None, Form::One)
}

/// The form with a time that some of `texts` have, where all are dates in ISO's order, with a time or without.
fn mixed<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    let forms = || TIMES.iter().filter(|time| !time.ends_with('z')).map(|time| format!("{}{time}", DATES[0][0]));
    if !texts.clone().all(|text| forms().any(|form| days(text, &form).is_some())) {
        return None;
    }
    let timed = |text: &str| forms().skip(1).find(|form| days(text, form).is_some());
    texts.clone().find_map(timed)
}

/// The same, or where it is in another form that can be read in one way alone, year before month before day, what it means there.
pub(super) fn days_or_iso(text: &str, form: &str) -> Option<f64> {
    let iso = || TIMES.iter().find_map(|time| days(text, &format!("{}{time}", DATES[0][0])));
    days(text, form).or_else(|| if form.contains("%d") { iso() } else { None })
}

/// Days since 1970, or since midnight, that `text` means in this form.
pub(super) fn days(text: &str, form: &str) -> Option<f64> {
    const DAY: f64 = 86_400.0;
    let seconds = |moment: NaiveDateTime| {
        let moment = moment.and_utc();
        moment.timestamp() as f64 + f64::from(moment.timestamp_subsec_nanos()) * 1e-9
    };
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN);
    let found = if form.ends_with('z') {
        DateTime::parse_from_str(text, form).ok().map(|moment| seconds(moment.naive_utc()))
    } else if MONTHS.contains(&form) {
        NaiveDate::parse_from_str(&format!("1 {text}"), &format!("%d {form}")).ok().map(midnight).map(seconds)
    } else if CLOCKS.contains(&form) {
        let since = |time: NaiveTime| time.signed_duration_since(NaiveTime::MIN).as_seconds_f64();
        NaiveTime::parse_from_str(text, form).ok().map(since)
    } else if form.contains(":%M") {
        NaiveDateTime::parse_from_str(text, form).ok().map(seconds)
    } else {
        NaiveDate::parse_from_str(text, form).ok().map(midnight).map(seconds)
    };
    found.map(|seconds| seconds / DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> (Form, Option<f64>) {
        let form = form(texts.iter().copied());
        let days = if let Form::One(form) = &form { days(texts[0], form) } else { None };
        (form, days)
    }

    #[test]
    fn dates_and_times_become_days() {
        for (texts, expected) in [
            (&["1970-01-02", "2024-02-29"][..], 1.0),
            (&["1970-01-02T12:00:00Z"], 1.5),
            (&["1970-01-02T12:00:00+12:00"], 1.0),
            (&["1970-01-02 06:00"], 1.25),
            (&["1970-01-02 06:00:00.5", "1970-01-02 06:00:00"], 1.25 + 0.5 / 86_400.0),
            (&["1970/01/03"], 2.0),
            (&["03.01.1970", "31.12.1999"], 2.0),
            (&["01/03/1970", "12/31/1999"], 2.0),
            (&["03/01/1970", "31/12/1999"], 2.0),
            (&["3-Jan-1970"], 2.0),
            (&["Jan 3, 1970"], 2.0),
            (&["Feb-1970"], 31.0),
            (&["06:00", "23:59"], 0.25),
        ] {
            let (form, days) = read(texts);
            assert!(days.is_some_and(|days| (days - expected).abs() < 1e-9), "{texts:?}: {form:?} {days:?}");
        }
    }

    #[test]
    fn dates_with_a_time_and_without_one_are_one_column() {
        let (form, _) = read(&["2024-01-01", "2024-03-01 06:00:00", "2024-03-02 07:30"]);
        let Form::One(form) = form else { panic!("{form:?}") };
        let days = ["1970-01-02", "1970-01-02 06:00:00"].map(|text| days_or_iso(text, &form));
        assert_eq!(days, [Some(1.0), Some(1.25)]);
        assert_eq!(read(&["2024-01-01", "01.03.2024"]).0, Form::None);
    }

    #[test]
    fn the_order_of_iso_is_read_whatever_the_form() {
        for (text, form, expected) in [
            ("03.01.1970", "%d.%m.%Y", Some(2.0)),
            ("1970-01-03", "%d.%m.%Y", Some(2.0)),
            ("1970-01-03 12:00:00", "%Y-%m-%d", Some(2.5)),
            ("1970-01-03T12:00:00+12:00", "%m/%d/%Y", Some(2.0)),
            ("1970-01-03", "%H:%M", None),
            ("3/1/70x", "%d.%m.%Y", None),
        ] {
            assert_eq!(days_or_iso(text, form), expected, "{text} {form}");
        }
    }

    #[test]
    fn what_is_unclear_or_no_date_is_not_guessed() {
        assert_eq!(read(&["01/02/2024", "03/04/2024"]).0, Form::Unclear);
        for texts in [&["2024-01-01", "soon"][..], &["31/12/1999", "12/31/1999"], &["red"], &["12"], &["a1"], &[]] {
            assert_eq!(read(texts).0, Form::None, "{texts:?}");
        }
    }
}
