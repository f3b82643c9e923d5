//! The ledger's shape and how an old one becomes a new one.
//!
//! Migrations are append-only SQL files. `meta.min_reader` says which older programs may open a
//! newer file: a migration that only adds leaves it alone, any other raises it.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension};
use rusqlite_migration::{M, Migrations};

use super::StoreError;

const STEPS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001_ledger.sql")),
    M::up(include_str!("migrations/0002_cloud.sql")),
    M::up(include_str!("migrations/0003_words.sql")),
    M::up(include_str!("migrations/0004_access.sql")),
    M::up(include_str!("migrations/0005_summaries.sql")),
    M::up(include_str!("migrations/0006_notes.sql")),
    M::up(include_str!("migrations/0007_search.sql")),
];

/// The schema version this program writes.
#[expect(clippy::cast_possible_truncation, reason = "a handful of migrations")]
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// Brings the ledger to [`VERSION`], or refuses one that is too new.
pub(super) fn upgrade(connection: &mut Connection) -> Result<(), StoreError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        return allow_newer(connection, found);
    }
    Migrations::from_slice(STEPS).to_latest(connection)?;
    Ok(())
}

fn allow_newer(connection: &Connection, found: u32) -> Result<(), StoreError> {
    let min_reader: Option<String> = connection
        .query_row("select value from meta where key = 'min_reader'", [], |row| row.get(0))
        .optional()?;
    let needed = min_reader.and_then(|text| text.parse().ok()).unwrap_or(found);
    if needed <= VERSION {
        return Ok(());
    }
    let path = PathBuf::from(connection.path().unwrap_or("the ledger"));
    Err(StoreError::TooNew { path, found, needed, known: VERSION })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_valid_and_print_the_schema_that_is_committed() {
        let mut connection = Connection::open_in_memory().unwrap();
        upgrade(&mut connection).unwrap();
        let mut listed = connection
            .prepare(
                "select sql from sqlite_schema where sql is not null and name not like 'sqlite_%' \
                 order by type desc, name",
            )
            .unwrap();
        let printed: Vec<String> =
            listed.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let printed = printed.join(";\n\n") + ";\n";
        let committed = include_str!("schema.sql");
        if printed != committed {
            let path = std::env::temp_dir().join("fieldtape-schema.sql");
            std::fs::write(&path, &printed).unwrap();
            panic!("src/store/schema.sql is out of date; the true one is in {}", path.display());
        }
    }

    #[test]
    fn a_newer_ledger_is_opened_only_if_it_allows_us() {
        let mut connection = Connection::open_in_memory().unwrap();
        upgrade(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
        upgrade(&mut connection).unwrap();
        connection
            .execute("update meta set value = ?1 where key = 'min_reader'", [VERSION + 1])
            .unwrap();
        let refused = upgrade(&mut connection).unwrap_err();
        assert!(matches!(refused, StoreError::TooNew { .. }), "{refused}");
        let text: String = connection
            .query_row("select value from meta where key = 'min_reader'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(text, (VERSION + 1).to_string(), "untouched");
    }
}
