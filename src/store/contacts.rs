//! Whose number it is.

use rusqlite::{Connection, params};

use super::{Store, StoreError};
use crate::domain::UnixMillis;

/// Names that one word of a search may mean, at most: a common family name.
const NAMES_MAX: u32 = 200;

/// A number and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// E.164.
    pub number: String,
    /// The name.
    pub name: String,
}

/// What an import changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Numbers that had no name.
    pub added: u32,
    /// Numbers that had another.
    pub renamed: u32,
    /// Numbers that have none any more.
    pub removed: u32,
    /// Numbers that have one now.
    pub all: u64,
}

impl Store {
    /// Takes names in. With `only`, numbers that are not among them lose theirs.
    pub async fn import_contacts(
        &self,
        contacts: Vec<Contact>,
        only: bool,
        actor: String,
        now: UnixMillis,
    ) -> Result<Imported, StoreError> {
        self.write(move |tx| {
            let mut imported = Imported::default();
            let mut known = tx.prepare("select name from contacts where number = ?1")?;
            let mut upsert = tx.prepare(
                "insert into contacts (number, name, imported_at_ms) values (?1, ?2, ?3) \
                 on conflict (number) do update set name = excluded.name, \
                 imported_at_ms = excluded.imported_at_ms",
            )?;
            for Contact { number, name } in &contacts {
                let before: Option<String> =
                    known.query_map([number], |row| row.get(0))?.next().transpose()?;
                imported.added += u32::from(before.is_none());
                imported.renamed += u32::from(before.is_some_and(|before| before != *name));
                upsert.execute(params![number, name, now.get()])?;
            }
            if only {
                let numbers: Vec<&str> = contacts.iter().map(|one| one.number.as_str()).collect();
                // Text always becomes JSON.
                let numbers = serde_json::to_string(&numbers).unwrap_or_default();
                let sql =
                    "delete from contacts where number not in (select value from json_each(?1))";
                imported.removed = u32::try_from(tx.execute(sql, [numbers])?).unwrap_or(u32::MAX);
            }
            imported.all = tx.query_row("select count(*) from contacts", [], |row| row.get(0))?;
            tx.execute(
                "insert into audit (at_ms, actor, action, detail) values (?1, ?2, 'contacts', ?3)",
                params![now.get(), actor, format!("{} names imported", contacts.len())],
            )?;
            Ok(imported)
        })
        .await
    }

    /// Lists whose numbers are known, by name.
    pub async fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        self.read(|db| {
            let mut all = db.prepare("select number, name from contacts order by name, number")?;
            let rows =
                all.query_map([], |row| Ok(Contact { number: row.get(0)?, name: row.get(1)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Returns the numbers whose names have what is looked for, as digits.
pub(super) fn numbers_of(db: &Connection, wanted: &str) -> Result<Vec<String>, StoreError> {
    let mut found =
        db.prepare_cached("select number from contact_search where name match ?1 limit ?2")?;
    let rows = found.query_map(params![wanted, NAMES_MAX], |row| row.get::<_, String>(0))?;
    let numbers = rows.collect::<Result<Vec<_>, _>>()?;
    let digits = |number: String| number.chars().filter(char::is_ascii_digit).collect();
    Ok(numbers.into_iter().map(digits).collect())
}
