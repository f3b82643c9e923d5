//! Whether every loop of the appliance still goes round; systemd's watchdog is fed on the answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// Asks the loops, and answers for them.
#[derive(Debug, Clone, Default)]
pub(super) struct Heart {
    inside: Arc<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    asked: watch::Sender<u64>,
    loops: Mutex<Vec<Arc<Loop>>>,
}

#[derive(Debug)]
struct Loop {
    name: &'static str,
    answered: AtomicU64,
}

impl Heart {
    /// Runs a loop to its end and returns its name. It answers from within the loop's own task: one
    /// that waits for work does, one that is stuck in its own code cannot.
    pub(super) fn beating<T: Future<Output = ()>>(
        &self,
        name: &'static str,
        task: T,
    ) -> impl Future<Output = &'static str> + use<T> {
        let heart = self.clone();
        let mut asked = heart.inside.asked.subscribe();
        let answered = AtomicU64::new(*asked.borrow_and_update());
        let own = Arc::new(Loop { name, answered });
        heart.loops(|loops| loops.push(Arc::clone(&own)));
        async move {
            tokio::pin!(task);
            loop {
                tokio::select! {
                    biased;
                    () = &mut task => break,
                    Ok(()) = asked.changed() => {
                        own.answered.store(*asked.borrow_and_update(), Ordering::Relaxed);
                    }
                }
            }
            heart.loops(|loops| loops.retain(|other| !Arc::ptr_eq(other, &own)));
            name
        }
    }

    /// Names the loops that have not answered the last question, and asks the next one.
    pub(super) fn ask(&self) -> Vec<&'static str> {
        let last = *self.inside.asked.borrow();
        let silent = self.loops(|loops| {
            let silent = loops.iter().filter(|one| one.answered.load(Ordering::Relaxed) < last);
            silent.map(|one| one.name).collect()
        });
        self.inside.asked.send_replace(last + 1);
        silent
    }

    fn loops<T>(&self, on: impl FnOnce(&mut Vec<Arc<Loop>>) -> T) -> T {
        on(&mut self.inside.loops.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Asks until exactly `names` are silent.
    async fn until_silent(heart: &Heart, names: &[&str]) {
        let asking = async {
            while heart.ask() != names {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_loop_that_waits_answers_and_one_that_is_stuck_does_not() {
        let (heart, stop, mut tasks) = (Heart::default(), CancellationToken::new(), JoinSet::new());
        tasks.spawn(heart.beating("idle", stop.clone().cancelled_owned()));
        let (go_on, stuck) = std::sync::mpsc::sync_channel::<()>(1);
        tasks.spawn(heart.beating("stuck", async move { stuck.recv().unwrap() }));
        heart.ask();
        until_silent(&heart, &["stuck"]).await;
        go_on.send(()).unwrap();
        assert_eq!(tasks.join_next().await.unwrap().unwrap(), "stuck");
        until_silent(&heart, &[]).await;
        stop.cancel();
        assert_eq!(tasks.join_next().await.unwrap().unwrap(), "idle");
        assert!(heart.loops(|loops| loops.is_empty()));
    }
}
