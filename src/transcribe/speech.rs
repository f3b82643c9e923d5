//! The handle by which the daemon has speech made into text.
//!
//! One thread owns the worker process and lives as long as the handle; the worker dies with it.
//! A track is heard window by window, so that a live look, which goes before, waits for one window
//! at most.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::child::Worker;
use super::hearing;
use super::job::{LiveJob, Options, SpeechError, TrackJob};
use super::machine::Machine;
use super::models::{ModelError, ModelFiles};
use super::queue::{Next, Queue, Running};
use super::segment::{LiveText, WindowText};
use super::vocabulary::prompt;
use super::wire::{Answer, Fault, LookRequest, Request, Slot, StepRequest};

type Reply<T> = oneshot::Sender<Result<T, SpeechError>>;

#[derive(Debug)]
struct LiveWork {
    job: LiveJob,
    reply: Reply<LiveText>,
}

#[derive(Debug)]
struct TrackWork {
    job: TrackJob,
    reply: Reply<WindowText>,
}

type Jobs = Queue<LiveWork, TrackWork>;

/// Speech to text, in a process of its own. Dropping it ends that process.
#[derive(Debug)]
pub struct Speech {
    options: Options,
    jobs: Arc<Jobs>,
    thread: Option<JoinHandle<()>>,
}

impl Speech {
    /// Starts the thread; the worker starts with the first job.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let jobs = Arc::new(Jobs::new());
        let mut engine = Engine::new(options.clone(), Arc::clone(&jobs));
        let thread =
            std::thread::Builder::new().name("speech".to_owned()).spawn(move || engine.run())?;
        Ok(Self { options, jobs, thread: Some(thread) })
    }

    /// Names what whole tracks are heard by: the model's file as it is now and all settings. What
    /// bears the same name says the same words.
    pub fn manner(&self) -> Result<String, SpeechError> {
        let files = ModelFiles::find(&self.options.model, &self.options.model_dirs)?;
        let unreadable = |error: std::io::Error| ModelError::Corrupt {
            path: files.path.clone(),
            why: error.to_string(),
        };
        let model = hearing::stamp(&files.model).map_err(unreadable)?;
        let detector = hearing::stamp(&files.detector).map_err(unreadable)?;
        let (name, vocabulary) = (&files.name, prompt(&self.options.vocabulary));
        let version = env!("CARGO_PKG_VERSION");
        Ok(format!("fieldtape {version}; {name} {model}; {detector}; {vocabulary}"))
    }

    /// Hears the next window of a whole track.
    pub async fn window(&self, job: TrackJob) -> Result<WindowText, SpeechError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.push_track(TrackWork { job, reply })?;
        answer.await.unwrap_or(Err(SpeechError::Stopped))
    }

    /// Looks at a live track: hears the utterances that have ended since the last look, up to a
    /// window of them; look again at once if [`LiveText::waiting_since`] says that there are more.
    pub async fn live(&self, job: LiveJob) -> Result<LiveText, SpeechError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.push_live(LiveWork { job, reply })?;
        answer.await.unwrap_or(Err(SpeechError::Stopped))
    }

    /// Returns the process number of the worker while there is one that is a child of ours.
    pub fn worker_pid(&self) -> Option<u32> {
        self.jobs.worker_pid()
    }

    /// Stops at once, whatever is under way: jobs answer [`SpeechError::Stopped`].
    pub fn stop(&self) {
        self.jobs.stop();
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the speech thread ended by a panic");
        }
    }
}

/// A speech process that was started to see whether it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The model that it loaded.
    pub model: String,
    /// Whether systemd started it.
    pub by_systemd: bool,
}

/// Starts a speech process of its own, has it load the model for finished calls, and lets it go.
pub fn prove(options: Options) -> Result<Proved, SpeechError> {
    let mut engine = Engine::new(options, Arc::new(Jobs::new()));
    let model = engine.load(Slot::Track)?;
    let by_systemd = engine.worker.as_ref().is_some_and(|warm| warm.worker.pid().is_none());
    engine.end_worker();
    Ok(Proved { model, by_systemd })
}

/// What the thread owns.
struct Engine {
    options: Options,
    machine: Machine,
    jobs: Arc<Jobs>,
    worker: Option<Warm>,
}

/// A worker and what is loaded in it.
struct Warm {
    worker: Worker,
    track_model: Option<String>,
    live_model: Option<String>,
}

impl Engine {
    fn new(options: Options, jobs: Arc<Jobs>) -> Self {
        Self { options, machine: Machine::this(), jobs, worker: None }
    }

    fn run(&mut self) {
        loop {
            match self.jobs.next(self.options.idle) {
                Next::Live(work) => self.live(work),
                Next::Track(work) => self.track(work),
                Next::Idle => self.end_worker(),
                Next::Stop => return self.end_worker(),
            }
        }
    }

    fn live(&mut self, LiveWork { job, reply }: LiveWork) {
        if !reply.is_closed() {
            // Nobody waits any more: then nobody misses it.
            let _ = reply.send(self.look(job));
        }
    }

    fn look(&mut self, job: LiveJob) -> Result<LiveText, SpeechError> {
        let slot = if self.options.live_model.is_some() { Slot::Live } else { Slot::Track };
        let request = LookRequest {
            slot,
            track: job.track,
            from: job.from_sample,
            to: job.to_sample,
            guess: job.guess,
            language: job.language,
            prompt: prompt(&self.options.vocabulary),
            threads: self.threads(Machine::threads_at_once),
        };
        match self.work(slot, &Request::Look(request), &[&job.audio])? {
            (Answer::Look(answer), _) => Ok(LiveText {
                segments: answer.segments,
                guess: answer.guess,
                consumed_to: answer.consumed_to,
                waiting_since: answer.waiting_since,
                open_since: answer.open_since,
                language: answer.language,
            }),
            (answer, _) => Err(no_text(answer)),
        }
    }

    fn track(&mut self, TrackWork { job, reply }: TrackWork) {
        if !reply.is_closed() {
            // As above.
            let _ = reply.send(self.window(job));
        }
    }

    fn window(&mut self, job: TrackJob) -> Result<WindowText, SpeechError> {
        let threads = if job.gently { 1 } else { self.threads(Machine::threads_by_and_by) };
        let request = StepRequest {
            from: job.from_sample,
            language: job.language,
            prompt: prompt(&self.options.vocabulary),
            threads,
            gently: job.gently,
        };
        let files: Vec<&File> =
            std::iter::once(&job.audio).chain(&job.other).map(|file| &**file).collect();
        match self.work(Slot::Track, &Request::Step(request), &files)? {
            (Answer::Step(answer), _)
                if !answer.finished && answer.consumed_to <= job.from_sample =>
            {
                Err(SpeechError::Failed("it does not get on with the track".to_owned()))
            }
            (Answer::Step(answer), model) => Ok(WindowText {
                segments: answer.segments,
                language: answer.language,
                model,
                dropped: answer.dropped,
                consumed_to: answer.consumed_to,
                finished: answer.finished,
            }),
            (answer, _) => Err(no_text(answer)),
        }
    }

    fn threads(&self, to_be_had: fn(&Machine) -> usize) -> u32 {
        super::threads_of(self.options.threads, to_be_had(&self.machine))
    }

    /// Has the worker do something with a slot's model; returns also that model's name.
    fn work(
        &mut self,
        slot: Slot,
        request: &Request,
        files: &[&File],
    ) -> Result<(Answer, String), SpeechError> {
        let model = self.load(slot)?;
        Ok((self.ask(request, files)?, model))
    }

    /// Sees that the slot's model is loaded, and returns its name.
    fn load(&mut self, slot: Slot) -> Result<String, SpeechError> {
        if let Some(loaded) = self.worker.as_ref().and_then(|warm| warm.model(slot)) {
            return Ok(loaded.to_owned());
        }
        let wanted = match (slot, &self.options.live_model) {
            (Slot::Live, Some(live_model)) => live_model,
            _ => &self.options.model,
        };
        let files = ModelFiles::find(wanted, &self.options.model_dirs)?;
        match self.ask(&Request::Load { slot }, &[&files.model, &files.detector])? {
            Answer::Loaded => {
                tracing::debug!(model = files.name, "the speech model is loaded");
                if let Some(warm) = &mut self.worker {
                    *warm.model_mut(slot) = Some(files.name.clone());
                }
                Ok(files.name)
            }
            Answer::Refused { fault: Fault::Model, message } => {
                Err(ModelError::Corrupt { path: files.path, why: message }.into())
            }
            answer => Err(no_text(answer)),
        }
    }

    /// Asks the worker, starting one if there is none; a worker that dies is forgotten.
    fn ask(&mut self, request: &Request, files: &[&File]) -> Result<Answer, SpeechError> {
        let warm = if let Some(warm) = &mut self.worker {
            warm
        } else {
            let warm = Warm::start(&self.options, &self.jobs)?;
            self.worker.insert(warm)
        };
        let files: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
        let answer = warm.worker.ask(request, &files);
        answer.map_err(|lost| match self.worker.take() {
            Some(warm) if !self.jobs.is_stopped() => {
                let death = warm.worker.bury(lost);
                self.end_worker();
                death.into()
            }
            // Dropping it ends it, without asking how.
            _ => SpeechError::Stopped,
        })
    }

    fn end_worker(&mut self) {
        // Only noting a new worker can be refused.
        let _ = self.jobs.set_running(None);
        if let Some(warm) = self.worker.take() {
            tracing::debug!(pid = warm.worker.pid(), "the speech process is let go");
        }
    }
}

impl Warm {
    fn start(options: &Options, jobs: &Jobs) -> Result<Self, SpeechError> {
        let not_started =
            |source| SpeechError::NotStarted { program: options.program.clone(), source };
        let worker = Worker::start(options).map_err(not_started)?;
        let socket = worker.socket().map_err(not_started)?;
        jobs.set_running(Some(Running { pid: worker.pid(), socket }))?;
        Ok(Self { worker, track_model: None, live_model: None })
    }

    fn model(&self, slot: Slot) -> Option<&str> {
        match slot {
            Slot::Track => self.track_model.as_deref(),
            Slot::Live => self.live_model.as_deref(),
        }
    }

    fn model_mut(&mut self, slot: Slot) -> &mut Option<String> {
        match slot {
            Slot::Track => &mut self.track_model,
            Slot::Live => &mut self.live_model,
        }
    }
}

/// Says why an answer is not the one asked for.
fn no_text(answer: Answer) -> SpeechError {
    match answer {
        Answer::Refused { fault: Fault::Audio, message } => SpeechError::BadAudio(message),
        Answer::Refused { fault: Fault::Language, message } => SpeechError::Language(message),
        Answer::Refused { message, .. } => SpeechError::Failed(message),
        Answer::Loaded | Answer::Step(_) | Answer::Look(_) => {
            SpeechError::Failed("it answered out of turn".to_owned())
        }
    }
}
