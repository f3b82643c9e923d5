//! A list of contacts, as address books write it: CSV with a line of headings.

use std::io::Read;

use super::number::{Country, e164};

/// Numbers of one person, at most: what has more is no list of contacts.
const NUMBERS_MAX: usize = 8;

/// Letters of a name, at most.
const NAME_CHARS_MAX: usize = 120;

/// A number and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// E.164.
    pub number: String,
    /// The name.
    pub name: String,
}

/// What a list holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Each number once, in order.
    pub entries: Vec<Entry>,
    /// What could not be used: in which line, and why.
    pub passed_over: Vec<(u64, String)>,
}

/// A file that is no list of contacts.
#[derive(Debug, thiserror::Error)]
pub enum NoList {
    /// It cannot be read, or is no CSV.
    #[error("it is no CSV file: {0}")]
    Csv(#[from] csv::Error),
    /// Nothing says what its columns are.
    #[error(
        "its first line names no column for the {0}: it needs one like \"Name\" and one like \"Phone\""
    )]
    NoColumn(&'static str),
}

/// Which columns hold what.
struct Columns {
    /// A whole name, or the parts of one, in order.
    names: Vec<usize>,
    /// What stands in for a name where there is none.
    company: Option<usize>,
    numbers: Vec<usize>,
}

/// Reads a list. Numbers without a country's code are those of `home`.
pub fn read(file: impl Read, home: Country) -> Result<Listed, NoList> {
    let mut text = Vec::new();
    let mut file = file;
    file.read_to_end(&mut text).map_err(csv::Error::from)?;
    let text = String::from_utf8_lossy(&text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let columns = Columns::find(reader.headers()?)?;
    let mut listed = Listed::default();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        columns.take(&record, line, home, &mut listed);
    }
    Ok(listed)
}

/// The mark that divides the headings: some languages write a comma in numbers.
fn delimiter(text: &str) -> u8 {
    let headings = text.lines().next().unwrap_or_default();
    let count = |mark: char| headings.matches(mark).count();
    match (count(';'), count('\t')) {
        (semicolons, tabs) if tabs > semicolons.max(count(',')) => b'\t',
        (semicolons, _) if semicolons > count(',') => b';',
        _ => b',',
    }
}

impl Listed {
    fn add(&mut self, number: String, name: &str) {
        if !self.entries.iter().any(|one| one.number == number) {
            self.entries.push(Entry { number, name: name.to_owned() });
        }
    }
}

impl Columns {
    fn find(headings: &csv::StringRecord) -> Result<Self, NoList> {
        let headings: Vec<String> = headings.iter().map(str::to_lowercase).collect();
        let at = |names: &[&str]| headings.iter().position(|one| names.contains(&one.as_str()));
        let whole = at(&["name", "full name", "display name", "file as", "contact", "nombre"]);
        let first = at(&["first name", "given name", "vorname"]);
        let last = at(&["last name", "family name", "surname", "nachname"]);
        let company =
            at(&["company", "organization", "organization name", "organization 1 - name", "firma"]);
        let parts: Vec<usize> = [first, last].into_iter().flatten().collect();
        let names = if parts.is_empty() { whole.into_iter().collect() } else { parts };
        let is_number = |heading: &&String| {
            let marks = ["phone", "number", "mobile", "telefon", "handy", "móvil", "teléfono"];
            let other = ["type", "label", "fax", "house number", "account", "customer"];
            marks.iter().any(|mark| heading.contains(mark))
                && !other.iter().any(|mark| heading.contains(mark))
        };
        let numbers = headings.iter().enumerate().filter(|(_, heading)| is_number(heading));
        let numbers: Vec<usize> = numbers.map(|(at, _)| at).collect();
        match (names.is_empty() && company.is_none(), numbers.is_empty()) {
            (true, _) => Err(NoList::NoColumn("name")),
            (_, true) => Err(NoList::NoColumn("number")),
            _ => Ok(Self { names, company, numbers }),
        }
    }

    fn take(&self, record: &csv::StringRecord, line: u64, home: Country, listed: &mut Listed) {
        let field = |at: usize| record.get(at).filter(|text| !text.is_empty());
        let name = self.names.iter().filter_map(|at| field(*at)).collect::<Vec<_>>().join(" ");
        let name =
            if name.is_empty() { self.company.and_then(field).unwrap_or_default() } else { &name };
        let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
        // Google writes several numbers into one field.
        let numbers = self.numbers.iter().filter_map(|at| field(*at));
        let numbers: Vec<&str> =
            numbers.flat_map(|field| field.split(":::")).take(NUMBERS_MAX).collect();
        let mut pass_over = |why: String| listed.passed_over.push((line, why));
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
            if !numbers.is_empty() {
                pass_over("a number without a name, or with one that is none".to_owned());
            }
            return;
        }
        for number in numbers {
            match e164(number, home) {
                Ok(number) => listed.add(number, &name),
                Err(error) => listed.passed_over.push((line, error.to_string())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<(String, String)> {
        let listed = read(text.as_bytes(), "US".parse().unwrap()).unwrap();
        listed.entries.into_iter().map(|one| (one.number, one.name)).collect()
    }

    fn pairs(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries.iter().map(|(number, name)| ((*number).to_owned(), (*name).to_owned())).collect()
    }

    #[test]
    fn lists_of_several_address_books_are_read() {
        let plain = "Name,Phone\nDaniel Reyes,(512) 555-0143\n\"Smith, Ann\",+1 512 555 0144\n";
        let expected = [("+15125550143", "Daniel Reyes"), ("+15125550144", "Smith, Ann")];
        assert_eq!(list(plain), pairs(&expected));
        let google = "First Name,Last Name,Organization Name,Phone 1 - Label,Phone 1 - Value\n\
                      Daniel,Reyes,,Mobile,512-555-0143 ::: 512-555-0145\n,,River Pumps,Work,512-555-0146\n";
        let expected = [
            ("+15125550143", "Daniel Reyes"),
            ("+15125550145", "Daniel Reyes"),
            ("+15125550146", "River Pumps"),
        ];
        assert_eq!(list(google), pairs(&expected));
        let german = "\u{feff}Vorname;Nachname;Telefon\r\nJörg;Müller;+49 30 1234567\r\n";
        assert_eq!(list(german), pairs(&[("+49301234567", "Jörg Müller")]));
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_line() {
        let text = "Name,Phone\nDaniel,none\n,512-555-0143\nAnn,512-555-0144\nAnn B,5125550144\n";
        let listed = read(text.as_bytes(), "US".parse().unwrap()).unwrap();
        assert_eq!(listed.entries.len(), 1);
        assert_eq!(listed.passed_over.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
        for (text, part) in
            [("a,b\n1,2\n", "name"), ("Name,Street\nAnn,x\n", "number"), ("", "name")]
        {
            let refused = read(text.as_bytes(), "US".parse().unwrap()).unwrap_err();
            assert!(refused.to_string().contains(part), "{refused}");
        }
    }
}
