//! The handle by which the daemon has speech made into text.
//!
//! One thread owns the worker process and lives as long as the handle; the worker dies with it.
//! A track is heard window by window, so that a live look waits for one window at most.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::child::Worker;
use super::job::{LiveJob, Options, SpeechError, TrackJob};
use super::models::{ModelError, ModelFiles};
use super::queue::{Next, Queue, Running};
use super::segment::{LiveText, Segment, TrackText};
use super::wire::{Answer, Fault, Request, Slot, StepAnswer, StepRequest};

type Reply<T> = oneshot::Sender<Result<T, SpeechError>>;

#[derive(Debug)]
struct LiveWork {
    job: LiveJob,
    reply: Reply<LiveText>,
}

#[derive(Debug)]
struct TrackWork {
    job: TrackJob,
    reply: Reply<TrackText>,
}

type Jobs = Queue<LiveWork, TrackWork>;

/// Speech to text, in a process of its own. Dropping it ends that process.
#[derive(Debug)]
pub struct Speech {
    jobs: Arc<Jobs>,
    thread: Option<JoinHandle<()>>,
}

impl Speech {
    /// Starts the thread; the worker starts with the first job.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let jobs = Arc::new(Jobs::new());
        let mut engine = Engine::new(options, Arc::clone(&jobs));
        let thread =
            std::thread::Builder::new().name("speech".to_owned()).spawn(move || engine.run())?;
        Ok(Self { jobs, thread: Some(thread) })
    }

    /// Hears a whole track.
    pub async fn transcribe(&self, job: TrackJob) -> Result<TrackText, SpeechError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.push_track(TrackWork { job, reply })?;
        answer.await.unwrap_or(Err(SpeechError::Stopped))
    }

    /// Looks at a live track: hears the utterances that have ended since the last look, up to a
    /// window of them; look again at once if [`LiveText::consumed_to`] is far behind.
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

/// What the thread owns.
struct Engine {
    options: Options,
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
        Self { options, jobs, worker: None }
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
        if reply.is_closed() {
            return;
        }
        let slot = if self.options.live_model.is_some() { Slot::Live } else { Slot::Track };
        let request = self.request(slot, job.from_sample, Some(job.to_sample), job.language);
        let text = self.step(request, &job.audio).map(|(answer, _)| LiveText {
            segments: answer.segments,
            consumed_to: answer.consumed_to,
            language: answer.language,
        });
        // Nobody waits any more: then nobody misses it.
        let _ = reply.send(text);
    }

    fn track(&mut self, TrackWork { job, reply }: TrackWork) {
        if let Some(text) = self.hear_track(job, &reply) {
            // Nobody waits any more: then nobody misses it.
            let _ = reply.send(text);
        }
    }

    /// Hears a track to its end, letting live looks in between; none if nobody waits for it.
    fn hear_track(
        &mut self,
        job: TrackJob,
        reply: &Reply<TrackText>,
    ) -> Option<Result<TrackText, SpeechError>> {
        let mut segments: Vec<Segment> = Vec::new();
        let (mut from, mut dropped, mut language) = (0, 0, job.language);
        loop {
            while let Some(work) = self.jobs.next_live() {
                self.live(work);
            }
            if reply.is_closed() {
                return None;
            }
            let request = self.request(Slot::Track, from, None, language.clone());
            let (answer, model) = match self.step(request, &job.audio) {
                Ok(answer) => answer,
                Err(error) => return Some(Err(error)),
            };
            segments.extend(answer.segments);
            dropped += answer.dropped;
            language = answer.language.unwrap_or(language);
            if answer.finished {
                let duration_ms = answer.samples / 16;
                return Some(Ok(TrackText { segments, language, model, dropped, duration_ms }));
            }
            if answer.consumed_to <= from {
                let error = "it does not get on with the track".to_owned();
                return Some(Err(SpeechError::Failed(error)));
            }
            from = answer.consumed_to;
        }
    }

    fn request(&self, slot: Slot, from: u64, to: Option<u64>, language: String) -> StepRequest {
        let threads = super::threads(self.options.threads);
        StepRequest {
            slot,
            from,
            to,
            language,
            prompt: self.options.vocabulary.join(", "),
            threads,
        }
    }

    /// Has the worker do one step; returns also the name of the model that did it.
    fn step(
        &mut self,
        request: StepRequest,
        audio: &File,
    ) -> Result<(StepAnswer, String), SpeechError> {
        let model = self.load(request.slot)?;
        match self.ask(&Request::Step(request), &[audio])? {
            Answer::Step(answer) => Ok((answer, model)),
            Answer::Refused { fault, message } => Err(refusal(fault, message)),
            Answer::Loaded => Err(SpeechError::Failed("it answered out of turn".to_owned())),
        }
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
            Answer::Refused { fault, message } => Err(refusal(fault, message)),
            Answer::Step(_) => Err(SpeechError::Failed("it answered out of turn".to_owned())),
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

fn refusal(fault: Fault, message: String) -> SpeechError {
    match fault {
        Fault::Audio => SpeechError::BadAudio(message),
        Fault::Language => SpeechError::Language(message),
        Fault::Model | Fault::Request | Fault::Engine => SpeechError::Failed(message),
    }
}
