//! How much there is of what, and how much is written on a day.

use rusqlite::params;

use super::streams::sql_count;
use super::{Store, StoreError, read};
use crate::domain::{PieceKind, UnixMillis};

/// Days told of, the newest: two years, more than anybody looks at.
const DAYS_MAX: u32 = 731;

/// What is kept of the calls of one day, of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOnDay {
    /// The day the calls began (UTC), as `YYYY-MM-DD`.
    pub day: String,
    /// Of which kind.
    pub kind: PieceKind,
    /// How many files.
    pub files: u64,
    /// Their size.
    pub size_bytes: u64,
}

/// What was written on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrittenOnDay {
    /// The day (UTC), as `YYYY-MM-DD`.
    pub day: String,
    /// Sound that was recorded, fetched or made here.
    pub sound_bytes: u64,
    /// Everything that was written to the disk, by whoever it was; none where nobody counts.
    pub device_bytes: Option<u64>,
}

/// What Twilio keeps, as far as is known here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AtTwilio {
    /// Seconds of recordings that are there.
    pub stored_s: u64,
    /// Seconds of recordings made since the moment asked for, there or not.
    pub recorded_s: u64,
}

impl Store {
    /// Tells what is kept, by the day of its call and by kind, the newest day first.
    pub async fn kept_by_day(&self) -> Result<Vec<KeptOnDay>, StoreError> {
        self.read(|db| {
            let mut found = db.prepare(
                "with pieces as ( \
                   select call_id, iif(rate_hz = 16000, '16khz', \
                     iif(source = 'cloud', 'cloud_channel', '8khz')) as kind, size_bytes from tracks \
                   union all select call_id, 'cloud_copy', size_bytes from cloud_recordings \
                     where path is not null and call_id is not null) \
                 select strftime('%Y-%m-%d', coalesce(started_at_ms, created_at_ms) / 1000, \
                   'unixepoch') as day, kind, count(*), sum(size_bytes) \
                 from pieces join calls on calls.id = call_id group by day, kind \
                 order by day desc, kind",
            )?;
            let mut rows = found.query([])?;
            let mut kept = Vec::new();
            while let Some(row) = rows.next()? {
                kept.push(KeptOnDay {
                    day: row.get(0)?,
                    kind: read::word(row, 1)?,
                    files: row.get(2)?,
                    size_bytes: row.get(3)?,
                });
            }
            Ok(kept)
        })
        .await
    }

    /// Returns how much recordings take up.
    pub async fn kept_bytes(&self) -> Result<u64, StoreError> {
        self.read(|db| {
            Ok(db.query_row(
                "select (select coalesce(sum(size_bytes), 0) from tracks) + \
                   (select coalesce(sum(size_bytes), 0) from cloud_recordings where path is not null)",
                [],
                |row| row.get(0),
            )?)
        })
        .await
    }

    /// Tells what was written on each day, the newest first, at most `days` of them.
    pub async fn written_by_day(&self, days: u32) -> Result<Vec<WrittenOnDay>, StoreError> {
        self.read(move |db| {
            let mut found = db.prepare(
                "select day, coalesce(sum(size_bytes) filter (where kind <> 'device'), 0), \
                   sum(size_bytes) filter (where kind = 'device') \
                 from written_days group by day order by day desc limit ?1",
            )?;
            let rows = found.query_map([days.min(DAYS_MAX)], |row| {
                Ok(WrittenOnDay {
                    day: row.get(0)?,
                    sound_bytes: row.get(1)?,
                    device_bytes: row.get(2)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Adds to what everybody has written to the disk on the day of `at`.
    pub async fn device_wrote(&self, bytes: u64, at: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(
                "insert into written_days (day, kind, size_bytes) \
                 values (strftime('%Y-%m-%d', ?1 / 1000, 'unixepoch'), 'device', ?2) \
                 on conflict do update set size_bytes = size_bytes + excluded.size_bytes",
                params![at.get(), sql_count(bytes)],
            )?;
            Ok(())
        })
        .await
    }

    /// Tells what Twilio keeps, and what was recorded there since `since`.
    pub async fn at_twilio(&self, since: UnixMillis) -> Result<AtTwilio, StoreError> {
        self.read(move |db| {
            Ok(db.query_row(
                "select coalesce(sum(duration_s) filter (where status = 'completed' \
                     and twilio_deleted_at_ms is null), 0), \
                   coalesce(sum(duration_s) filter (where created_at_ms >= ?1), 0) \
                 from cloud_recordings",
                [since.get()],
                |row| Ok(AtTwilio { stored_s: row.get(0)?, recorded_s: row.get(1)? }),
            )?)
        })
        .await
    }

    /// Counts the calls that are held.
    pub async fn held_calls(&self) -> Result<u64, StoreError> {
        self.read(|db| {
            Ok(db.query_row("select count(*) from calls where hold = 1", [], |row| row.get(0))?)
        })
        .await
    }
}
