//! The ledger as a reader finds it, and what must hold of it whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fieldtape::domain::CallSid;
use rusqlite::{Connection, OpenFlags, Row, params};

/// A ledger opened to read.
pub(crate) struct Ledger {
    connection: Connection,
}

/// A row of `calls`.
#[expect(clippy::struct_field_names, reason = "they are named as in the ledger")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: i64,
    pub(crate) direction: String,
    pub(crate) origin: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) call_status: String,
    pub(crate) end_reason: Option<String>,
    pub(crate) started_at_ms: Option<i64>,
    pub(crate) ended_at_ms: Option<i64>,
    pub(crate) duration_s: Option<i64>,
    pub(crate) duration_source: Option<String>,
    pub(crate) recording_status: String,
    pub(crate) transcript_status: String,
    pub(crate) waiting_for: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) live_copy: bool,
}

/// A row of `tracks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) party: String,
    pub(crate) rate_hz: u32,
    pub(crate) part_no: u32,
    pub(crate) path: PathBuf,
    pub(crate) origin: i64,
    pub(crate) samples: u64,
    pub(crate) size_bytes: u64,
    pub(crate) salvaged: bool,
}

/// A row of `gaps`, in 8 kHz samples.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gap {
    pub(crate) party: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) reason: String,
}

/// A row of `streams`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamRow {
    pub(crate) stream_sid: String,
    pub(crate) verified: bool,
    pub(crate) origin: Option<u64>,
    pub(crate) stopped_at_ms: Option<i64>,
    pub(crate) frames: u64,
    pub(crate) frames_skipped: u64,
    pub(crate) error: Option<String>,
}

impl Ledger {
    pub(crate) fn open(data_dir: &Path) -> Self {
        let path = data_dir.join("fieldtape.db");
        let connection =
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        connection.busy_timeout(super::PATIENCE).unwrap();
        Self { connection }
    }

    /// Counts the rows of a table.
    pub(crate) fn count(&self, table: &str) -> u64 {
        let sql = format!("select count(*) from {table}");
        self.connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    /// Says whether a stage, or any, is being worked on.
    pub(crate) fn is_under_way(&self, stage: Option<&str>) -> bool {
        let sql = "select exists (select 1 from stages \
                   where status = 'processing' and (?1 is null or stage = ?1))";
        self.connection.query_row(sql, [stage], |row| row.get(0)).unwrap_or(false)
    }

    /// Reads a call's row, if there is one.
    pub(crate) fn call(&self, call_sid: &CallSid) -> Option<Call> {
        let sql = "select id, direction, origin, from_number, to_number, call_status, end_reason,
                started_at_ms, ended_at_ms, duration_s, duration_source, recording_status,
                transcript_status, waiting_for, last_error, live_copy
            from calls where call_sid = ?1";
        let read = |row: &Row<'_>| {
            Ok(Call {
                id: row.get(0)?,
                direction: row.get(1)?,
                origin: row.get(2)?,
                from: row.get(3)?,
                to: row.get(4)?,
                call_status: row.get(5)?,
                end_reason: row.get(6)?,
                started_at_ms: row.get(7)?,
                ended_at_ms: row.get(8)?,
                duration_s: row.get(9)?,
                duration_source: row.get(10)?,
                recording_status: row.get(11)?,
                transcript_status: row.get(12)?,
                waiting_for: row.get(13)?,
                last_error: row.get(14)?,
                live_copy: row.get(15)?,
            })
        };
        self.rows(sql, call_sid, read).pop()
    }

    /// The source of every file of a call, by its name.
    pub(crate) fn sources(&self, call_sid: &CallSid) -> BTreeMap<String, String> {
        let sql = "select path, source from tracks
            where call_id = (select id from calls where call_sid = ?1)";
        let rows = self.rows(sql, call_sid, |row| {
            let path: String = row.get(0)?;
            Ok((path.rsplit('/').next().unwrap().to_owned(), row.get(1)?))
        });
        rows.into_iter().collect()
    }

    /// The gaps of a call's copy of a source, as start, end and reason.
    pub(crate) fn gaps_of(&self, call_sid: &CallSid, source: &str) -> Vec<(u64, u64, String)> {
        let sql = "select source, start_sample, end_sample, reason from gaps
            where call_id = (select id from calls where call_sid = ?1) order by start_sample";
        let mut rows = self.rows(sql, call_sid, |row| {
            Ok((row.get::<_, String>(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
        });
        rows.retain(|(of, _)| of == source);
        rows.into_iter().map(|(_, gap)| gap).collect()
    }

    pub(crate) fn tracks(&self, call_sid: &CallSid) -> Vec<Track> {
        let sql =
            "select party, rate_hz, part_no, path, origin_sample, samples, size_bytes, salvaged
            from tracks where call_id = (select id from calls where call_sid = ?1)
            order by part_no, party, rate_hz";
        self.rows(sql, call_sid, |row| {
            Ok(Track {
                party: row.get(0)?,
                rate_hz: row.get(1)?,
                part_no: row.get(2)?,
                path: row.get::<_, String>(3)?.into(),
                origin: row.get(4)?,
                samples: row.get(5)?,
                size_bytes: row.get(6)?,
                salvaged: row.get(7)?,
            })
        })
    }

    pub(crate) fn gaps(&self, call_sid: &CallSid) -> Vec<Gap> {
        let sql = "select party, start_sample, end_sample, reason from gaps
            where call_id = (select id from calls where call_sid = ?1) order by party, start_sample";
        self.rows(sql, call_sid, |row| {
            Ok(Gap {
                party: row.get(0)?,
                start: row.get(1)?,
                end: row.get(2)?,
                reason: row.get(3)?,
            })
        })
    }

    pub(crate) fn streams(&self, call_sid: &CallSid) -> Vec<StreamRow> {
        let sql = "select stream_sid, verified, origin_sample, stopped_at_ms, frames,
                frames_skipped, error
            from streams where call_id = (select id from calls where call_sid = ?1) order by id";
        self.rows(sql, call_sid, |row| {
            Ok(StreamRow {
                stream_sid: row.get(0)?,
                verified: row.get(1)?,
                origin: row.get(2)?,
                stopped_at_ms: row.get(3)?,
                frames: row.get(4)?,
                frames_skipped: row.get(5)?,
                error: row.get(6)?,
            })
        })
    }

    /// Reads one value of a call's Twilio recordings, as text, in the order they became known.
    pub(crate) fn cloud(&self, call_sid: &CallSid, column: &str) -> Vec<Option<String>> {
        let sql = format!(
            "select cast({column} as text) from cloud_recordings where call_sid = ?1 order by id"
        );
        self.rows(&sql, call_sid, |row| row.get(0))
    }

    fn rows<T>(
        &self,
        sql: &str,
        call_sid: &CallSid,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Vec<T> {
        let mut statement = self.connection.prepare(sql).unwrap();
        let rows = statement.query_map(params![call_sid.as_str()], read).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Tells what a stage of a call waits for.
    pub(crate) fn stage_waits_for(&self, call_sid: &CallSid, stage: &str) -> Option<String> {
        let sql = format!(
            "select stages.waiting_for from stages join calls on calls.id = call_id
             where call_sid = ?1 and stage = '{stage}'"
        );
        self.rows(&sql, call_sid, |row| row.get(0)).pop().flatten()
    }

    /// What the audit trail tells of one kind of deed.
    pub(crate) fn audit(&self, action: &str) -> Vec<String> {
        let sql = "select coalesce(detail, '') from audit where action = ?1 order by id";
        let mut statement = self.connection.prepare(sql).unwrap();
        let rows = statement.query_map([action], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Checks that ledger and data folder tell the same story: no file under way, every track's
    /// file there with its size, and no sound that no row speaks of.
    pub(crate) fn check_against(&self, data_dir: &Path) {
        let sound: String =
            self.connection.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let mut strays = self.connection.prepare("pragma foreign_key_check").unwrap();
        assert!(!strays.exists([]).unwrap(), "rows of calls that are not there");
        let mut statement = self
            .connection
            .prepare("select path, size_bytes, samples, rate_hz from tracks")
            .unwrap();
        let rows = statement
            .query_map([], |row| {
                let path: String = row.get(0)?;
                let numbers: (u64, u64, u32) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((PathBuf::from(path), numbers))
            })
            .unwrap();
        let mut known = BTreeSet::new();
        for (path, (size_bytes, samples, rate_hz)) in rows.map(Result::unwrap) {
            let file = data_dir.join(&path);
            let length = std::fs::metadata(&file).unwrap().len();
            assert_eq!(length, size_bytes, "{}", path.display());
            assert_eq!(length, 44 + samples * 2, "{}", path.display());
            let read = super::read_wav(&file, rate_hz).len();
            assert_eq!(read as u64, samples, "{}", path.display());
            known.insert(path);
        }
        let mut statement = self
            .connection
            .prepare("select path, size_bytes from cloud_recordings where path is not null")
            .unwrap();
        let copies = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?)))
            .unwrap();
        for (path, size_bytes) in copies.map(Result::unwrap) {
            let length = std::fs::metadata(data_dir.join(&path)).unwrap().len();
            assert_eq!(length, size_bytes, "{path}");
            known.insert(path.into());
        }
        let found: BTreeSet<PathBuf> = files_below(&data_dir.join("recordings"))
            .into_iter()
            .map(|file| file.strip_prefix(data_dir).unwrap().to_owned())
            .collect();
        assert_eq!(found, known, "the files there are, and those the ledger knows");
    }
}

/// Every file below a folder.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect()
}
