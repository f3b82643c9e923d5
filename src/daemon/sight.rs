//! What is seen of the box itself, off the async threads: a sick disk holds up one look, and no more
//! are begun until that one comes back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::care;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::UnixMillis;
use crate::health::{self, Check, Kept, Kernel, Secret, Wanted};
use crate::models::model_dirs;
use crate::transcribe::{Machine, ModelFiles};

/// What is looked at.
const NAMES: [&str; 7] =
    ["credentials", "model", "power", "temperature", "wear", "journal", "backup"];

/// What a look needs to know.
#[derive(Clone)]
pub(super) struct Sight {
    model: String,
    data_dir: PathBuf,
    secrets: Vec<Secret>,
    kernel: Kernel,
    machine: Machine,
    clock: SharedClock,
}

/// A look that has not come back yet.
#[derive(Default)]
pub(super) struct Looking {
    under_way: Option<JoinHandle<Vec<Check>>>,
}

impl Sight {
    /// Takes the settings, and this box.
    pub(super) fn new(config: &Config, clock: &SharedClock) -> Self {
        Self {
            model: config.transcription.model.clone(),
            data_dir: config.server.data_dir.clone(),
            secrets: config.secrets.clone(),
            kernel: Kernel::this(),
            machine: Machine::this(),
            clock: Arc::clone(clock),
        }
    }

    fn look(&self, first_call_at: Option<UnixMillis>) -> Vec<Check> {
        let (model, data_dir) = (&self.model, &self.data_dir);
        let found = ModelFiles::find(model, &model_dirs(Some(data_dir)));
        let found = found.map(|files| files.path).map_err(|error| error.to_string());
        let kept = Kept { backed_up_at: care::last_backup(data_dir), first_call_at };
        vec![
            health::credentials(&self.secrets),
            health::model(&Wanted { model, data_dir, is_read: false }, found),
            self.kernel.power(),
            health::temperature(self.machine.millidegrees()),
            self.kernel.wear(),
            self.kernel.journal(),
            health::backup(kept, self.clock.now(), self.clock.synchronised()),
        ]
    }
}

impl Looking {
    /// Looks, and waits for it no longer than `patience`.
    pub(super) async fn at(
        &mut self,
        sight: &Sight,
        first_call_at: Option<UnixMillis>,
        patience: Duration,
    ) -> Vec<Check> {
        let sight = sight.clone();
        let look = || spawn_blocking(move || sight.look(first_call_at));
        let under_way = self.under_way.get_or_insert_with(look);
        let looked = timeout(patience, under_way).await;
        if looked.is_ok() {
            self.under_way = None;
        }
        if let Ok(Ok(checks)) = looked {
            return checks;
        }
        // The check of the disk says what to do.
        NAMES.map(|name| Check::unknown(name, "the box has not told for some seconds")).to_vec()
    }
}
