//! Dates and times as numbers.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// The forms of dates: of those in one line, at most one may fit a column.
const DATES: [&[&str]; 10] = [
    &["%Y-%m-%d"],
    &["%Y/%m/%d"],
    &["%Y.%m.%d"],
    &["%d.%m.%Y"],
    &["%m/%d/%Y", "%d/%m/%Y"],
    &["%m-%d-%Y", "%d-%m-%Y"],
    &["%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y", "%B %d %Y", "%a, %d %b %Y"],
    &["%d.%m.%y"],
    &["%m/%d/%y", "%d/%m/%y", "%y/%m/%d"],
    &["%m-%d-%y", "%d-%m-%y", "%y-%m-%d"],
];
/// What may follow a date, with what stands between.
const TIMES: [&str; 14] = [
    "",
    " %H:%M",
    " %H:%M:%S%.f",
    "T%H:%M",
    "T%H:%M:%S%.f",
    " %I:%M %p",
    " %I:%M:%S %p",
    " %H:%M:%S%.f UTC",
    " %H:%M:%S%.f GMT",
    "T%H:%M%#z",
    "T%H:%M:%S%.f%#z",
    " %H:%M%#z",
    " %H:%M:%S%.f%#z",
    " %H:%M:%S%.f %z",
];
/// About how many texts of a column show whether it has dates.
const LOOKED_AT: usize = 16;
/// What there is to say of years of two digits.
pub(super) const CENTURY: &str = "years from 69 on are those of 1969 to 1999";
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
            let first = |form: &str| form[..2].replace("%b", "%B");
            let other = fitting.any(|other| first(&other) != first(&form));
            return if other { Form::Unclear } else { Form::One(form) };
        }
    }
    let mut others = CLOCKS.iter().chain(&MONTHS).map(|form| (*form).to_owned());
    others.find(fits).or_else(|| mixed(texts)).map_or(Form::None, Form::One)
}

/// All forms.
fn forms() -> impl Iterator<Item = String> {
    let dates = DATES.iter().copied().flatten();
    let dates = dates.flat_map(|date| TIMES.iter().map(move |time| format!("{date}{time}")));
    dates.chain(CLOCKS.iter().chain(&MONTHS).map(|form| (*form).to_owned()))
}

/// The form that most of `texts` have, each of which occurs so often; none where few of them are dates.
pub(super) fn usual(texts: &[(&str, usize)]) -> Option<String> {
    // Dates are known by some of them.
    let some = || texts.iter().step_by((texts.len() / LOOKED_AT).max(1)).map(|(text, _)| *text);
    let digits = |text: &str| text.len() <= 40 && text.bytes().any(|byte| byte.is_ascii_digit());
    if !some().any(digits) {
        return None;
    }
    let fits = |form: &String| some().filter(|text| digits(text)).any(|text| days(text, form).is_some());
    let cells = |form: String| {
        let cells: usize = texts.iter().filter(|(text, _)| days(text, &form).is_some()).map(|(_, count)| count).sum();
        (cells, form)
    };
    let found = forms().filter(fits).map(cells).reduce(|most, other| if other.0 > most.0 { other } else { most });
    found.map(|(_, form)| form)
}

/// Whether a text is a date in some form.
pub(super) fn is_date(text: &str) -> bool {
    text.len() <= 40 && forms().any(|form| days(text, &form).is_some())
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

/// Whether `text` has as many digits as `form` says: years have four of them, or two where all parts of a date have two.
fn has_digits(text: &str, form: &str) -> bool {
    let runs = || text.split(|character: char| !character.is_ascii_digit()).filter(|run| !run.is_empty()).map(str::len);
    let before = |year: usize| form[..year].matches("%d").count() + form[..year].matches("%m").count();
    match form.find("%Y") {
        Some(_) if form == "%Y-%m" => text.len() == 7 && runs().eq([4, 2]),
        Some(year) => runs().nth(before(year)) == Some(4),
        None if form.contains("%y") => runs().take(3).eq([2, 2, 2]),
        None => true,
    }
}

/// A date whose year has two digits, with all four of them.
fn with_century(text: &str, form: &str) -> Option<(String, String)> {
    let at = if form.starts_with("%y") { 0 } else { 6 };
    let year: u8 = text.get(at..at + 2)?.parse().ok()?;
    let century = if year < 69 { "20" } else { "19" };
    Some((format!("{}{century}{}", &text[..at], &text[at..]), form.replace("%y", "%Y")))
}

/// Days since 1970, or since midnight, that `text` means in this form.
pub(super) fn days(text: &str, form: &str) -> Option<f64> {
    const DAY: f64 = 86_400.0;
    if !has_digits(text, form) {
        return None;
    }
    if form.contains("%y") {
        let (text, form) = with_century(text, form)?;
        return days(&text, &form);
    }
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
            (&["1970-01-02 06:00:00 UTC"], 1.25),
            (&["01/31/1970 5:30 PM", "12/31/2020 12:00 AM"], 30.0 + 17.5 / 24.0),
            (&["1970-01-02T06:00Z"], 1.25),
            (&["1970.01.02"], 1.0),
            (&["January 3 1970"], 2.0),
            (&["Fri, 02 Jan 1970 12:00:00 GMT"], 1.5),
            (&["Fri, 02 Jan 1970 12:00:00 +1200"], 1.0),
            (&["02.01.70", "31.12.68", "31.12.69"], 1.0),
            (&["01/31/70", "12/31/05"], 30.0),
            (&["70-01-31", "05-12-31"], 30.0),
            (&["1970-02", "2001-12"], 31.0),
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
    fn the_form_of_most_dates_is_found() {
        let texts = [("soon", 9), ("2024-01-01", 2), ("2024-02-30", 1), ("2024-03-01", 2), ("01.03.2024", 3)];
        assert_eq!(usual(&texts).as_deref(), Some("%Y-%m-%d"));
        assert_eq!(usual(&[("soon", 9), ("a1", 2)]), None);
        assert!(is_date("01.03.2024") && !is_date("2024-02-30"));
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
        assert_eq!(read(&["01/02/03", "03/04/05"]).0, Form::Unclear);
        for texts in [
            &["2024-01-01", "soon"][..],
            &["31/12/1999", "12/31/1999"],
            &["red"],
            &["12"],
            &["a1"],
            &[],
            &["2-1", "0-4"],
            &["10-14"],
            &["3.2.7"],
            &["1/1/95"],
            &["01/01/995"],
            &["202-01"],
        ] {
            assert_eq!(read(texts).0, Form::None, "{texts:?}");
        }
    }
}
