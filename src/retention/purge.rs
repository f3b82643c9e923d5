//! Carrying a plan out: what a piece rests on is looked at again, then the rows go, then the files.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::keeper::Inner;
use super::plan::{Plan, RestsOn, Step, Why};
use super::sweep;
use super::witness::{Elsewhere, Says};
use crate::domain::{PieceKind, UnixMillis};
use crate::store::{CallId, Keepsake, Piece, Purge, StoreError};
use crate::vault::{RelPath, Vault};

/// What a purge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// When.
    pub at: UnixMillis,
    /// What it freed.
    pub freed_bytes: u64,
    /// How many pieces went.
    pub pieces: u64,
    /// What was to go and stayed, with why; the first of them.
    pub withheld: Vec<Withheld>,
}

/// A piece that was to go and stayed, because what it rests on was not found as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// Which piece of which call.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Of so many it is told why they stayed; the first ones say enough.
const WITHHELD_MAX: usize = 20;

/// One purge under way.
pub(super) struct Round<'a> {
    keeper: &'a Inner,
    /// Every call as it stands after what has gone.
    kept: HashMap<CallId, Keepsake>,
    /// Who asked for it, as in the audit trail.
    actor: String,
    /// Files that were read and found good.
    good: HashSet<String>,
    /// Why nobody can be asked any more in this round: of the archive, and of Twilio.
    silent: [Option<String>; 2],
    done: Purged,
}

impl<'a> Round<'a> {
    pub(super) fn new(keeper: &'a Inner, kept: Vec<Keepsake>, actor: &str) -> Self {
        Self {
            keeper,
            kept: kept.into_iter().map(|kept| (kept.call, kept)).collect(),
            actor: actor.to_owned(),
            good: HashSet::new(),
            silent: [None, None],
            done: Purged {
                at: keeper.options.clock.now(),
                freed_bytes: 0,
                pieces: 0,
                withheld: Vec::new(),
            },
        }
    }

    /// Carries the plan out, one call after another in its order.
    pub(super) async fn carry_out(mut self, plan: &Plan) -> Result<Purged, StoreError> {
        for steps in plan.steps.chunk_by(|a, b| a.call == b.call && a.why == b.why) {
            self.call(steps).await?;
        }
        Ok(self.done)
    }

    /// Lets go what of a call may go now.
    async fn call(&mut self, steps: &[Step]) -> Result<(), StoreError> {
        let Some(kept) = steps.first().and_then(|step| self.kept.get(&step.call)).cloned() else {
            return Ok(());
        };
        let mut sure = Vec::new();
        for step in steps {
            match self.stands(&kept, step).await? {
                Ok(()) => sure.push(step),
                Err(why) => self.withhold(&step.name, why),
            }
        }
        // The clock may have lost its hold while files were read.
        if sure.is_empty() || !self.keeper.options.clock.synchronised() {
            return Ok(());
        }
        let purge = Purge {
            expected: kept.clone(),
            names: sure.iter().map(|step| step.name.clone()).collect(),
            detail: detail(&kept, &sure).to_string(),
            actor: self.actor.clone(),
            at: self.keeper.options.clock.now(),
        };
        if !self.keeper.options.store.purge(purge).await? {
            self.kept.remove(&kept.call);
            let why = "the call has changed meanwhile; it is looked at again next time";
            self.withhold(kept.call_sid.as_str(), why.to_owned());
            return Ok(());
        }
        self.done.pieces += sure.len() as u64;
        self.done.freed_bytes += sure.iter().map(|step| step.size_bytes).sum::<u64>();
        if let Some(kept) = self.kept.get_mut(&kept.call) {
            kept.pieces.retain(|piece| !sure.iter().any(|step| step.name == piece.name));
        }
        sweep::throw_out(&self.keeper.options).await
    }

    /// Looks whether what a piece rests on is as it should be, or says what is wrong.
    async fn stands(
        &mut self,
        kept: &Keepsake,
        step: &Step,
    ) -> Result<Result<(), String>, StoreError> {
        let piece = kept.pieces.iter().find(|piece| piece.name == step.name);
        Ok(match (&step.rests_on, piece) {
            (_, None) => Err("it is not there any more".to_owned()),
            (RestsOn::Nothing, _) => Ok(()),
            (RestsOn::Here(name), _) => self.is_good(kept, name).await,
            (RestsOn::Archive, Some(piece)) => match piece.archived.clone() {
                Some(archived) => self.ask(kept, Elsewhere::Archive(archived)).await?,
                None => Err("the archive does not have it".to_owned()),
            },
            (RestsOn::Twilio(sid), _) => self.ask(kept, Elsewhere::Twilio(sid.clone())).await?,
        })
    }

    /// Reads a file that stays through, once a round.
    async fn is_good(&mut self, kept: &Keepsake, name: &str) -> Result<(), String> {
        if self.good.contains(name) {
            return Ok(());
        }
        let Some(piece) = kept.pieces.iter().find(|piece| piece.name == name).cloned() else {
            return Err(format!("{name}, which it is made of, is not there any more"));
        };
        let vault = self.keeper.options.vault.clone();
        let read = tokio::task::spawn_blocking(move || read_through(&vault, &piece)).await;
        read.unwrap_or_else(|broken| Err(broken.to_string()))?;
        self.good.insert(name.to_owned());
        Ok(())
    }

    async fn ask(
        &mut self,
        kept: &Keepsake,
        what: Elsewhere,
    ) -> Result<Result<(), String>, StoreError> {
        let side = usize::from(matches!(what, Elsewhere::Twilio(_)));
        let silent = self.silent.get(side).cloned().flatten();
        if let Some(why) = silent {
            return Ok(Err(why));
        }
        let Some(witness) = &self.keeper.options.witness else {
            return Ok(Err("nobody can be asked whether it is elsewhere".to_owned()));
        };
        Ok(match witness(what.clone()).await {
            Says::There => Ok(()),
            Says::Unknown { why } => {
                // One who does not answer is not asked a thousand times.
                if let Some(silent) = self.silent.get_mut(side) {
                    *silent = Some(why.clone());
                }
                Err(why)
            }
            Says::Gone { why } => {
                let sid = &kept.call_sid;
                tracing::error!(call.sid = %sid, event = "purge.withheld", error = %why, "what {sid} has elsewhere is not there any more: nothing of it goes from here");
                if matches!(what, Elsewhere::Archive(_)) {
                    let now = self.keeper.options.clock.now();
                    self.keeper.options.store.archive_lost(kept.call, now).await?;
                    self.keeper.options.due.ring();
                }
                Err(why)
            }
        })
    }

    fn withhold(&mut self, name: &str, why: String) {
        if self.done.withheld.len() < WITHHELD_MAX {
            self.done.withheld.push(Withheld { name: name.to_owned(), why });
        }
    }
}

fn read_through(vault: &Vault, piece: &Piece) -> Result<(), String> {
    let name = &piece.name;
    if piece.kind == PieceKind::Words {
        return Ok(());
    }
    let path: RelPath = name.parse().map_err(|error: crate::vault::BadPath| error.to_string())?;
    if !vault.has(&path, piece.size_bytes) {
        return Err(format!("{name}, which it is made of, is gone or has another size"));
    }
    let Some(sha256) = &piece.sha256 else {
        return Err(format!("{name}, which it is made of, has no hash yet"));
    };
    let found = vault.hash(&path).map_err(|error| error.to_string())?;
    if found == *sha256 {
        return Ok(());
    }
    Err(format!("{name}, which it is made of, is not what was recorded: see fieldtape verify"))
}

/// What the audit trail tells of a purge.
fn detail(kept: &Keepsake, steps: &[&Step]) -> Value {
    let pieces: Vec<Value> = steps
        .iter()
        .map(|step| {
            let piece = kept.pieces.iter().find(|piece| piece.name == step.name);
            json!({
                "kind": step.kind.as_str(),
                "name": step.name,
                "bytes": step.size_bytes,
                "sha256": piece.and_then(|piece| piece.sha256.as_deref()),
                "rests_on": rests_on(&step.rests_on),
            })
        })
        .collect();
    let why = steps.first().map(|step| step.why);
    json!({ "why": why.map(Why::as_str), "pieces": pieces })
}

/// Says where the same is had from then, in a word and a name.
pub(super) fn rests_on(rests_on: &RestsOn) -> String {
    match rests_on {
        RestsOn::Here(name) => format!("here: {name}"),
        RestsOn::Archive => "archive".to_owned(),
        RestsOn::Twilio(sid) => format!("twilio: {sid}"),
        RestsOn::Nothing => "nothing".to_owned(),
    }
}
