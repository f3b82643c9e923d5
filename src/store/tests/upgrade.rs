//! Ledgers of earlier versions, brought to this one.

use super::*;

/// What version 1 left: see the fixture's first lines.
const V1: &str = include_str!("fixtures/ledger_v1.sql");

/// Gives no signs of life to anybody.
pub(super) fn quiet() -> SignOfLife {
    Arc::new(|| {})
}

pub(super) fn v1(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("fieldtape.db");
    let db = connection::open_writer(&path).unwrap();
    db.execute_batch("pragma foreign_keys = off").unwrap();
    db.execute_batch(V1).unwrap();
    connection::close(db);
    path
}

async fn words(store: &Store, n: u8) -> (RecordingStatus, StageStatus, Option<StageStatus>) {
    let detail = store.call(&sid(n)).await.unwrap().unwrap();
    let fetch = detail.stages.iter().find(|row| row.stage == Stage::Fetch);
    (detail.call.recording_status, detail.call.transcript_status, fetch.map(|row| row.status))
}

#[tokio::test]
async fn a_ledger_of_version_1_is_upgraded_and_its_words_follow_from_what_is_there() {
    use RecordingStatus as Recording;
    use StageStatus::{Completed, Failed, Pending, Skipped};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&v1(folder.path())).unwrap();
    let heard_here = words(&store, 1).await;
    assert_eq!(heard_here, (Recording::Completed, Completed, Some(Pending)));
    let still_live = words(&store, 2).await;
    assert_eq!(still_live, (Recording::Recording, Pending, None));
    let at_twilio_only = words(&store, 3).await;
    assert_eq!(at_twilio_only, (Recording::Recording, Pending, Some(Pending)));
    let nobody_answered = words(&store, 4).await;
    assert_eq!(nobody_answered, (Recording::Pending, Skipped, None));
    let never_made = words(&store, 5).await;
    assert_eq!(never_made, (Recording::Failed, Skipped, Some(Failed)));
    let due = store.claim(Stage::Fetch, at(0)).await.unwrap().unwrap();
    assert_eq!(due.attempt(), 1, "what could not be fetched before is due now");
    assert_eq!(store.transcript(&sid(1)).await.unwrap().unwrap().segments.len(), 1);
    assert_eq!(store.calls_wanted().await.unwrap(), [sid(9)]);
}

#[tokio::test]
async fn an_upgraded_ledger_has_the_same_shape_as_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = v1(folder.path());
    let mut old = connection::open_writer(&path).unwrap();
    schema::upgrade(&mut old, &quiet()).unwrap();
    let mut new = rusqlite::Connection::open_in_memory().unwrap();
    schema::upgrade(&mut new, &quiet()).unwrap();
    let shape = |db: &rusqlite::Connection| -> Vec<String> {
        let mut columns = db
            .prepare(
                "select m.name || '.' || i.name || ' ' || i.type || ' ' || i.\"notnull\" || ' ' || i.pk \
                 from sqlite_schema m, pragma_table_info(m.name) i where m.type = 'table' \
                 union all select name from sqlite_schema where type <> 'table' order by 1",
            )
            .unwrap();
        columns.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(shape(&old), shape(&new));
    let faults: i64 = old
        .query_row("select count(*) from pragma_foreign_key_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(faults, 0);
}
