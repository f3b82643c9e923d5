//! The speech worker: the body of `fieldtape speech-worker`.
//!
//! Invariant: it opens no path, no ledger and no network. Everything it reads comes to it as an
//! open file over the one socket it is born with, so the worst that can happen in the engine
//! costs one attempt at one track. It dies with the thread that started it.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tracing::level_filters::LevelFilter;

use super::engine::Engine;
use super::heard::{EngineError, Haste, Manner};
use super::look::{Looks, Place};
use super::step::{Files, Step, StepError, step};
use super::wire::{
    Answer, Fault, LookAnswer, LookRequest, Received, Request, Slot, StepAnswer, StepRequest,
    receive, send,
};

/// Memory the worker may reserve for a window's work with one model. The engine reserves far more
/// than it touches (tiny.en: 760 MB for 150): five schedulers of 83 MB, decoder and its scores
/// 96 + 93 MB, encoder 78 MB; and stacks of 8 MB x 16 threads, sound 5 MB. 0.8 GB, and a quarter
/// more.
const MEMORY_BYTES: u64 = 1 << 30;

/// Memory for each byte of a model file: the model, and buffers that grow with it.
const MEMORY_PER_MODEL_BYTE: u64 = 2;

/// The niceness of work that goes behind everything else: the highest there is.
const GENTLE: i32 = 19;

/// Runs the worker on the socket that is its standard input.
pub fn main() -> ExitCode {
    // Lines go to whoever started us, who gives them a time and a place. A second subscriber in
    // one process is refused, and then the first one serves.
    let _ = tracing_subscriber::fmt()
        .without_time()
        .with_ansi(false)
        .with_target(false)
        .with_max_level(LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .try_init();
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        tracing::warn!(%error, "the speech process will outlive its parent");
    }
    super::swift::become_it();
    match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(socket) => {
            let socket = UnixStream::from(socket);
            if let Err(error) = super::orphan::watch(&socket) {
                tracing::warn!(%error, "the speech process may outlive the daemon");
            }
            serve(&socket)
        }
        Err(error) => {
            tracing::error!(%error, "the speech process has no socket for its standard input");
            ExitCode::FAILURE
        }
    }
}

/// Answers requests until the other end closes.
fn serve(socket: &UnixStream) -> ExitCode {
    let mut models = Models::default();
    loop {
        let answer = match receive::<Request>(socket) {
            Ok(Received::Message(request, files)) => models.answer(request, files),
            Ok(Received::Broken(message)) => Answer::Refused { fault: Fault::Request, message },
            Ok(Received::Closed) => return ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!(%error, "the speech process is started by fieldtape run");
                return ExitCode::FAILURE;
            }
        };
        if let Err(error) = send(socket, &answer, &[]) {
            tracing::error!(%error, "nobody takes the answer");
            return ExitCode::FAILURE;
        }
    }
}

/// The models loaded.
#[derive(Default)]
struct Models {
    track: Option<Engine>,
    live: Option<Engine>,
    looks: Looks,
    loaded: u64,
    loaded_bytes: u64,
}

impl Models {
    fn answer(&mut self, request: Request, files: Vec<OwnedFd>) -> Answer {
        let mut files = files.into_iter().map(File::from);
        match (request, files.next(), files.next()) {
            (Request::Load { slot }, Some(model), Some(detector)) => {
                self.load(slot, &model, &detector)
            }
            (Request::Step(request), Some(own), other) => self.step(&request, Files { own, other }),
            (Request::Look(request), Some(audio), None) => self.look(&request, audio),
            (request, ..) => {
                let message = format!("wrong number of files with {request:?}");
                Answer::Refused { fault: Fault::Request, message }
            }
        }
    }

    fn load(&mut self, slot: Slot, model: &File, detector: &File) -> Answer {
        self.loaded_bytes += model.metadata().map_or(0, |about| about.len());
        self.loaded += 1;
        bound_memory(self.loaded * MEMORY_BYTES + MEMORY_PER_MODEL_BYTE * self.loaded_bytes);
        match Engine::load(model, detector) {
            Ok(engine) => {
                *self.slot(slot) = Some(engine);
                Answer::Loaded
            }
            Err(error) => refused(&StepError::Engine(error)),
        }
    }

    fn step(&mut self, request: &StepRequest, files: Files) -> Answer {
        let Some(engine) = &mut self.track else { return no_model() };
        let manner = Manner {
            language: &request.language,
            prompt: &request.prompt,
            threads: request.threads,
            haste: Haste::None,
        };
        let work = || match step(engine, files, request.from, &manner) {
            Ok(Step { segments, dropped, consumed_to, finished, language }) => {
                Answer::Step(StepAnswer { segments, dropped, consumed_to, finished, language })
            }
            Err(error) => refused(&error),
        };
        if request.gently { gently(work) } else { work() }
    }

    fn look(&mut self, request: &LookRequest, audio: File) -> Answer {
        let engine = match request.slot {
            Slot::Track => &mut self.track,
            Slot::Live => &mut self.live,
        };
        let Some(engine) = engine else { return no_model() };
        let manner = Manner {
            language: &request.language,
            prompt: &request.prompt,
            threads: request.threads,
            haste: Haste::Live,
        };
        let &LookRequest { track, from, to, guess, .. } = request;
        match self.looks.look(engine, audio, Place { track, from, to, guess }, &manner) {
            Ok(look) => Answer::Look(LookAnswer {
                segments: look.segments,
                guess: look.guess,
                consumed_to: look.consumed_to,
                waiting_since: look.waiting_since,
                open_since: look.open_since,
                language: look.language,
            }),
            Err(error) => refused(&error),
        }
    }

    fn slot(&mut self, slot: Slot) -> &mut Option<Engine> {
        match slot {
            Slot::Track => &mut self.track,
            Slot::Live => &mut self.live,
        }
    }
}

/// Does work on a thread that comes after everything else, as do those that it starts. Niceness
/// is each thread's own, and no thread gets back what it gave up.
fn gently(work: impl FnOnce() -> Answer + Send) -> Answer {
    let failed = |message: String| Answer::Refused { fault: Fault::Engine, message };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("gently".to_owned());
        let thread = thread.spawn_scoped(scope, || {
            if let Err(error) = rustix::process::setpriority_process(None, GENTLE) {
                tracing::warn!(%error, "the speech process keeps its priority");
            }
            work()
        });
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => failed("a fault in fieldtape itself stopped it".to_owned()),
            Err(error) => failed(format!("no thread could be started: {error}")),
        }
    })
}

fn no_model() -> Answer {
    let message = "no model is loaded".to_owned();
    Answer::Refused { fault: Fault::Request, message }
}

fn refused(error: &StepError) -> Answer {
    let fault = match error {
        StepError::Track(_) => Fault::Audio,
        StepError::Engine(EngineError::Model(_)) => Fault::Model,
        StepError::Engine(EngineError::Language(_)) => Fault::Language,
        StepError::Engine(EngineError::Failed(_)) => Fault::Engine,
    };
    Answer::Refused { fault, message: error.to_string() }
}

/// Bounds what the process may write to: past it the engine's allocations fail and it aborts,
/// long before the box runs out.
fn bound_memory(bytes: u64) {
    let hard = getrlimit(Resource::Data).maximum;
    let bytes = hard.map_or(bytes, |hard| bytes.min(hard));
    let limit = Rlimit { current: Some(bytes), maximum: hard };
    if let Err(error) = setrlimit(Resource::Data, limit) {
        tracing::warn!(%error, bytes, "the speech process has no memory limit");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one request with `files` files to a worker without models.
    fn ask(request: &Request, files: usize) -> Answer {
        let (near, far) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let files: Vec<_> = (0..files).map(|_| file.as_fd()).collect();
        send(&near, request, &files).unwrap();
        near.shutdown(std::net::Shutdown::Write).unwrap();
        let code = serve(&far);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
        match receive(&near).unwrap() {
            Received::Message(answer, _) => answer,
            _ => panic!("no answer"),
        }
    }

    fn fault(answer: &Answer) -> Option<Fault> {
        match answer {
            Answer::Refused { fault, .. } => Some(*fault),
            _ => None,
        }
    }

    #[test]
    fn a_wrong_request_is_refused_and_the_worker_goes_on() {
        let step = Request::Step(StepRequest {
            from: 0,
            language: "auto".to_owned(),
            prompt: String::new(),
            threads: 1,
            gently: false,
        });
        assert_eq!(fault(&ask(&step, 0)), Some(Fault::Request));
        assert_eq!(fault(&ask(&step, 1)), Some(Fault::Request), "no model loaded");
        assert_eq!(fault(&ask(&Request::Load { slot: Slot::Live }, 1)), Some(Fault::Request));
    }
}
