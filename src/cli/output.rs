//! Answers to standard output, mistakes to standard error. A reader that has gone away (`| head`)
//! is no mistake.

use std::io::Write as _;

use super::exit::Failure;

/// Prints an answer.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    is_read(text).map(|_| ())
}

/// Prints a piece of an answer without end; says whether anybody still reads it.
pub(super) fn is_read(text: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Failed(format!("the answer cannot be written: {error}"))),
    }
}

/// Prints a line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    say(&format!("{text}\n"))
}

/// Prints what went wrong.
pub(super) fn error(text: &str) {
    // There is nowhere left to say that it cannot be said.
    let _ = writeln!(std::io::stderr(), "fieldtape: {text}");
}

/// Prints a table with its columns aligned.
pub(super) fn table(rows: &[Vec<String>]) -> Result<(), Failure> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    say(&text)
}
