//! Stages in which nothing is begun, because a person said so.

use rusqlite::params;

use super::{Store, StoreError, read};
use crate::domain::{Stage, UnixMillis};

/// The words for stage `?1` not being paused.
pub(super) const GOES_ON: &str =
    "not exists (select 1 from pauses where pauses.stage in (?1, 'all'))";

/// What stands for every stage.
const ALL: &str = "all";

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Of which stage; of all when none.
    pub stage: Option<Stage>,
    /// Since when.
    pub since: UnixMillis,
    /// Who asked for it.
    pub actor: String,
}

impl Store {
    /// Begins nothing more in a stage, or in any when none is named, until it is resumed. What is
    /// under way goes on to its end. Says whether that is news.
    pub async fn pause(
        &self,
        stage: Option<Stage>,
        actor: String,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let word = word(stage);
            let paused = tx.execute(
                "insert into pauses (stage, since_ms, actor) values (?1, ?2, ?3) \
                 on conflict do nothing",
                params![word, at.get(), actor],
            )? > 0;
            if paused {
                audit(tx, "pause-queue", word, &actor, at)?;
            }
            Ok(paused)
        })
        .await
    }

    /// Lets a stage go on, or every one when none is named. Says whether any was paused.
    pub async fn resume(
        &self,
        stage: Option<Stage>,
        actor: String,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let word = word(stage);
            let resumed =
                tx.execute("delete from pauses where ?1 = 'all' or stage = ?1", [word])? > 0;
            if resumed {
                audit(tx, "resume-queue", word, &actor, at)?;
            }
            Ok(resumed)
        })
        .await
    }

    /// Lists what is paused, the pause of everything first.
    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.read(|db| {
            let mut found =
                db.prepare("select stage, since_ms, actor from pauses order by stage <> 'all', 1")?;
            let mut rows = found.query([])?;
            let mut pauses = Vec::new();
            while let Some(row) = rows.next()? {
                let stage: String = row.get(0)?;
                pauses.push(Pause {
                    stage: (stage != ALL).then(|| read::parse(&stage)).transpose()?,
                    since: UnixMillis::new(row.get(1)?),
                    actor: row.get(2)?,
                });
            }
            Ok(pauses)
        })
        .await
    }
}

fn word(stage: Option<Stage>) -> &'static str {
    stage.map_or(ALL, Stage::as_str)
}

fn audit(
    tx: &rusqlite::Transaction<'_>,
    action: &str,
    stage: &str,
    actor: &str,
    at: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "insert into audit (at_ms, actor, action, detail) values (?1, ?2, ?3, ?4)",
        params![at.get(), actor, action, stage],
    )?;
    Ok(())
}
