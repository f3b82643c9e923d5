//! What this Twilio tells the appliance, and what becomes of it on the way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::Shared;
use super::journal::value;
use crate::domain::{CallSid, UnixMillis};
use crate::simulate::line::{Delivery, Letter};

/// How long a callback that loses its place is overtaken: long for those right behind it.
const OVERTAKEN: Duration = Duration::from_millis(200);

/// How often a clock is looked at that may be moved by hand, which tells nobody.
const GLANCE: Duration = Duration::from_millis(20);

/// Callbacks on the way at once: as many as the appliance takes calls.
const ON_THE_WAY_MAX: usize = 16;

/// News for the appliance, before it is signed.
#[derive(Debug, Clone)]
pub struct Callback {
    /// The call it is about.
    pub call_sid: CallSid,
    /// What it tells: `completed`, …
    pub event: String,
    /// Where it goes, with the rules for repeating it behind a `#`.
    pub url: String,
    /// The form.
    pub fields: Vec<(String, String)>,
}

impl Callback {
    /// Returns a field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        value(&self.fields, name)
    }

    /// Sets a field, there before or not.
    pub fn set(&mut self, name: &str, value: &str) {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Says whether it is about a recording, not about the call.
    pub fn is_about_recording(&self) -> bool {
        self.field("RecordingStatus").is_some()
    }
}

/// What becomes of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is told in its turn, repeated if its URL asks for that.
    Told,
    /// It is never sent.
    Lost,
    /// It is told twice.
    Doubled,
    /// It is told only so long after its time, by the clock of this Twilio.
    Late(Duration),
    /// Those behind it overtake it.
    Overtaken,
}

/// What became of a callback.
#[derive(Debug, Clone)]
pub struct Told {
    /// What it was.
    pub callback: Callback,
    /// What was to become of it.
    pub fate: Fate,
    /// How often it was sent.
    pub attempts: u32,
    /// The HTTP status of the last attempt, if there was an answer.
    pub status: Option<u16>,
    /// Whether nothing more will come of it.
    pub is_done: bool,
}

/// Decides what becomes of callbacks.
pub(super) type Decide = Box<dyn FnMut(&mut Callback, &mut StdRng) -> Fate + Send>;

#[derive(Default)]
pub(super) struct Outbox {
    entries: Vec<Entry>,
    pub(super) decide: Option<Decide>,
}

struct Entry {
    told: Told,
    state: State,
    deliveries: Vec<Delivery>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In its turn among those of its call.
    Queued,
    /// Out of turn, once this moment has come.
    LateUntil(UnixMillis),
    OvertakenUntil(Instant),
    OnTheWay,
    Done,
}

impl Outbox {
    pub(super) fn add(&mut self, mut callback: Callback, luck: &mut StdRng, now: UnixMillis) {
        let fate = self.decide.as_mut().map_or(Fate::Told, |decide| decide(&mut callback, luck));
        let state = match fate {
            Fate::Told | Fate::Doubled => State::Queued,
            Fate::Lost => State::Done,
            Fate::Late(by) => State::LateUntil(now.plus(by)),
            Fate::Overtaken => State::OvertakenUntil(Instant::now() + OVERTAKEN),
        };
        let is_done = state == State::Done;
        let told = Told { callback, fate, attempts: 0, status: None, is_done };
        self.entries.push(Entry { told, state, deliveries: Vec::new() });
    }

    pub(super) fn told(&self) -> impl Iterator<Item = &Told> {
        self.entries.iter().map(|entry| &entry.told)
    }

    /// Returns what came of a call's callbacks, each once, as soon as none but late ones is left.
    pub(super) fn settled(&mut self, call_sid: &CallSid) -> Option<Vec<Delivery>> {
        let of_call = |entry: &&mut Entry| entry.told.callback.call_sid == *call_sid;
        let is_over = |entry: &mut Entry| matches!(entry.state, State::Done | State::LateUntil(_));
        if !self.entries.iter_mut().filter(of_call).all(is_over) {
            return None;
        }
        let entries = self.entries.iter_mut().filter(of_call);
        Some(entries.flat_map(|entry| std::mem::take(&mut entry.deliveries)).collect())
    }

    /// Takes what can be sent now; of each call one at a time, in their order.
    fn take(&mut self, now: UnixMillis, room: usize) -> Vec<Parcel> {
        let on_the_way = |entry: &&Entry| entry.state == State::OnTheWay;
        let sid = |entry: &Entry| entry.told.callback.call_sid.clone();
        let mut busy: HashSet<CallSid> = self.entries.iter().filter(on_the_way).map(sid).collect();
        let mut parcels = Vec::new();
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let is_due = match entry.state {
                State::Queued => true,
                State::LateUntil(moment) => now >= moment,
                State::OvertakenUntil(moment) => Instant::now() >= moment,
                State::OnTheWay | State::Done => false,
            };
            if parcels.len() < room && is_due && busy.insert(sid(entry)) {
                entry.state = State::OnTheWay;
                let callback = &entry.told.callback;
                let letter = Letter {
                    url: callback.url.clone(),
                    event: callback.event.clone(),
                    fields: callback.fields.clone(),
                };
                let copies = if entry.told.fate == Fate::Doubled { 2 } else { 1 };
                parcels.push(Parcel { place, letter, copies });
            }
        }
        parcels
    }

    fn is_waiting(&self) -> bool {
        let held = |state| matches!(state, State::LateUntil(_) | State::OvertakenUntil(_));
        self.entries.iter().any(|entry| held(entry.state))
    }

    fn done(&mut self, place: usize, deliveries: Vec<Delivery>) {
        let Some(entry) = self.entries.get_mut(place) else { return };
        entry.state = State::Done;
        entry.told.is_done = true;
        entry.told.attempts = deliveries.iter().map(|delivery| delivery.webhook.attempts).sum();
        entry.told.status = deliveries.last().and_then(|delivery| delivery.webhook.status);
        entry.deliveries = deliveries;
    }
}

/// A callback on its way.
struct Parcel {
    place: usize,
    letter: Letter,
    copies: usize,
}

/// Sends what is due, for as long as this Twilio stands.
pub(super) async fn send_all(shared: Arc<Shared>) {
    let mut changes = shared.changes();
    let mut on_the_way = JoinSet::new();
    loop {
        changes.borrow_and_update();
        let (parcels, is_waiting) = {
            let now = shared.now();
            let mut world = shared.world();
            let room = ON_THE_WAY_MAX.saturating_sub(on_the_way.len());
            (world.outbox.take(now, room), world.outbox.is_waiting())
        };
        for parcel in parcels {
            on_the_way.spawn(send(Arc::clone(&shared), parcel));
        }
        tokio::select! {
            _ = changes.changed() => {}
            Some(_) = on_the_way.join_next() => {}
            () = sleep(GLANCE), if is_waiting => {}
        }
    }
}

async fn send(shared: Arc<Shared>, parcel: Parcel) {
    let mut deliveries = Vec::with_capacity(parcel.copies);
    // Before anybody has said where the appliance is, nobody is told.
    if let Some(line) = shared.line() {
        for _ in 0..parcel.copies {
            deliveries.push(line.deliver(&parcel.letter).await);
        }
    }
    shared.world().outbox.done(parcel.place, deliveries);
    shared.tell_change();
}
