//! The ledger's shape and how an old one becomes a new one.
//!
//! Migrations are append-only SQL files. `meta.min_reader` says which older programs may open a
//! newer file: a migration that only adds leaves it alone, any other raises it.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension};
use rusqlite_migration::{M, Migrations};

use super::StoreError;
use super::kept::{self, SignOfLife};

const STEPS: &[M<'_>] = &[
    M::up(include_str!("migrations/0001_ledger.sql")),
    M::up(include_str!("migrations/0002_cloud.sql")),
    M::up(include_str!("migrations/0003_words.sql")),
    M::up(include_str!("migrations/0004_access.sql")),
    M::up(include_str!("migrations/0005_clock.sql")),
    M::up(include_str!("migrations/0006_keeping.sql")),
    M::up(include_str!("migrations/0007_calling.sql")),
    M::up(include_str!("migrations/0008_find.sql")),
];

/// The schema version this program writes.
#[expect(clippy::cast_possible_truncation, reason = "a handful of migrations")]
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// Brings the ledger to [`VERSION`], or refuses one that is too new. One that is older is kept as it
/// was, first.
pub(super) fn upgrade(connection: &mut Connection, alive: &SignOfLife) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found >= VERSION {
        return check_reader(connection);
    }
    if found > 0 {
        kept::keep(connection, found, alive)?;
    }
    kept::watch(connection, alive)?;
    Migrations::from_slice(STEPS).to_latest(connection)?;
    kept::unwatch(connection)
}

fn version(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Refuses a ledger that is too new for this program.
pub(super) fn check_reader(connection: &Connection) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found <= VERSION {
        return Ok(());
    }
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
    use std::sync::Arc;

    use super::*;

    fn upgrade(connection: &mut Connection) -> Result<(), StoreError> {
        let alive: SignOfLife = Arc::new(|| {});
        super::upgrade(connection, &alive)
    }

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
