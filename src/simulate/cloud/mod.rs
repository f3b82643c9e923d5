//! Twilio's REST API, played on a real socket: calls, recordings and their sound, with a memory.
//!
//! Duty: what the API 2010-04-01 answers about the account, its numbers, and calls that were played
//! into the appliance or put there by a script, the signed callbacks about them, and on request every way in which either
//! has been seen to fail.
//!
//! Invariants: what a request changed is what the next one sees, whatever became of the answer;
//! every request that came in is in the journal, and whoever shows no credentials learns nothing.
//! All moments are those of one clock, which a test may move by hand; only what a socket is made
//! to wait for goes by real time.
//!
//! Not here: ringing anybody when a call is ordered, changing a recording under way, subaccounts, and whatever
//! else of the API no recorder asks for.

mod call;
mod faults;
mod gate;
mod journal;
mod listing;
mod media;
mod numbers;
mod outbox;
mod playback;
mod played;
mod recording;
mod reply;
mod requests;
mod target;
mod wire;
mod world;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use rand::rngs::StdRng;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use call::{Call, CallScript};
pub use faults::{Endpoint, Fault, Faults};
pub use journal::Request;
pub use media::Media;
pub use numbers::Number;
pub use outbox::{Callback, Fate, Told};
pub(super) use played::Placed;
pub use recording::{Recording, RecordingScript};

use self::wire::{Connection, Port, Switch};
use self::world::World;
use super::answer::RecordingOrder;
use super::line::{Delivery, Line};
use crate::clock::SharedClock;
use crate::domain::{AccountSid, CallSid, NumberSid, RecordingSid, UnixMillis};
use crate::twilio::door::PublicUrl;
use crate::twilio::signature::{AuthToken, Validator};

const RECORDING_STATUS: &str = "/twilio/recording-status";

/// Whose Twilio it is.
pub struct CloudOptions {
    /// The account.
    pub account_sid: AccountSid,
    /// Its secret: what callbacks are signed with, and the password that goes with the account.
    pub auth_token: AuthToken,
    /// Another name and password that are let in.
    pub api_key: Option<ApiKey>,
    /// The address that callbacks are signed for.
    pub public_url: PublicUrl,
    /// What time it is.
    pub clock: SharedClock,
    /// What decides names, and the luck of callbacks.
    pub seed: u64,
}

/// An API key.
#[derive(Clone)]
pub struct ApiKey {
    /// Its name (`SK…`).
    pub sid: String,
    /// Its secret.
    pub secret: String,
}

/// Shows whose it is, never what it is.
impl fmt::Debug for ApiKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ApiKey({})", self.sid)
    }
}

/// A Twilio that is there until the last of its handles is dropped.
#[derive(Clone)]
pub struct Cloud {
    shared: Arc<Shared>,
    address: SocketAddr,
    _tasks: Arc<Tasks>,
}

/// Its server and its postman.
struct Tasks {
    _set: JoinSet<()>,
    switch: Arc<Switch>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.switch.go_offline();
    }
}

/// What the server, the postman and the handles share.
struct Shared {
    account_sid: AccountSid,
    validator: Validator,
    api_key: Option<ApiKey>,
    public_url: PublicUrl,
    clock: SharedClock,
    line: Mutex<Option<Arc<Line>>>,
    world: Mutex<World>,
    switch: Arc<Switch>,
    changed: watch::Sender<()>,
}

impl Cloud {
    /// Begins to answer at a port. Needs a tokio runtime around it.
    pub fn serve(listener: TcpListener, options: CloudOptions) -> io::Result<Self> {
        let switch = Arc::new(Switch::new());
        let shared = Arc::new(Shared {
            account_sid: options.account_sid,
            validator: Validator::new(options.auth_token, None),
            api_key: options.api_key,
            public_url: options.public_url,
            clock: options.clock,
            line: Mutex::default(),
            world: Mutex::new(World::new(options.seed)),
            switch: Arc::clone(&switch),
            changed: watch::Sender::new(()),
        });
        let address = listener.local_addr()?;
        let port = Port::new(listener, Arc::clone(&switch))?;
        let router = Router::new().fallback(gate::answer).with_state(Arc::clone(&shared));
        let service = router.into_make_service_with_connect_info::<Connection>();
        let mut set = JoinSet::new();
        set.spawn(async move {
            // It only ever ends with its task: a port that cannot be had is tried for again.
            let _ = axum::serve(port, service).await;
        });
        set.spawn(outbox::send_all(Arc::clone(&shared)));
        Ok(Self { shared, address, _tasks: Arc::new(Tasks { _set: set, switch }) })
    }

    /// Returns what to set as `twilio.api_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Tells by which line the appliance is reached; before, callbacks reach nobody.
    pub(super) fn reached_by(&self, line: Arc<Line>) {
        *self.shared.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    }

    /// Takes the API off the network: connections break, and new ones are refused from when this
    /// returns. Callbacks go on.
    pub async fn offline(&self) {
        self.shared.switch.go_offline();
        self.shared.switch.settled().await;
    }

    /// Brings the API back, at the same port.
    pub async fn online(&self) {
        self.shared.switch.go_online();
        self.shared.switch.settled().await;
    }

    /// Changes what is wrong with the API.
    pub fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.shared.world().faults)
    }

    /// Decides from now on what becomes of each callback, which may be changed before it is
    /// signed. It must not ask this Twilio anything.
    pub fn fates(&self, decide: impl FnMut(&mut Callback, &mut StdRng) -> Fate + Send + 'static) {
        self.shared.world().outbox.decide = Some(Box::new(decide));
    }

    /// Puts a call there, without a word to the appliance.
    pub fn place_call(&self, script: CallScript) -> CallSid {
        let sid = script.sid.clone();
        let order = self.shared.own_order();
        self.shared.world().place(script, &order);
        sid
    }

    /// Adds a recording to a call, as when it was begun elsewhere, without a word.
    pub fn add_recording(&self, call_sid: &CallSid, script: RecordingScript) -> RecordingSid {
        let sid = script.sid.clone();
        let order = self.shared.own_order();
        self.shared.world().add(call_sid, script, order);
        sid
    }

    /// Gives the account a number, of which nothing is set.
    pub fn add_number(&self, phone_number: &str, friendly_name: &str) -> NumberSid {
        self.shared.world().own(phone_number, friendly_name)
    }

    /// Returns the account's numbers.
    pub fn numbers(&self) -> Vec<Number> {
        self.shared.world().numbers.clone()
    }

    /// Changes a number.
    pub fn change_number(&self, sid: &NumberSid, change: impl FnOnce(&mut Number)) {
        self.shared.world().numbers.iter_mut().find(|number| number.sid == *sid).map(change);
    }

    /// Tells the appliance of a call's status, and of its recordings.
    pub fn report_call(&self, call_sid: &CallSid) {
        self.shared.report_call(call_sid);
    }

    /// Ends a call that was put there, with what was said in it from its first second, and tells.
    pub fn end_call(&self, call_sid: &CallSid, heard: &Media) {
        self.shared.end_call(call_sid, heard, None);
    }

    /// Returns a leg.
    pub fn call(&self, sid: &CallSid) -> Option<Call> {
        self.shared.world().call(sid).cloned()
    }

    /// Returns all legs, in the order in which they became known.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.world().calls.clone()
    }

    /// Changes a leg.
    pub fn change_call(&self, sid: &CallSid, change: impl FnOnce(&mut Call)) {
        self.shared.world().call_mut(sid).map(change);
    }

    /// Returns a recording.
    pub fn recording(&self, sid: &RecordingSid) -> Option<Recording> {
        self.shared.world().recording(sid).cloned()
    }

    /// Returns the recordings of a call, deleted ones too.
    pub fn recordings_of(&self, call_sid: &CallSid) -> Vec<Recording> {
        let world = self.shared.world();
        world.recordings.iter().filter(|one| one.call_sid == *call_sid).cloned().collect()
    }

    /// Changes a recording.
    pub fn change_recording(&self, sid: &RecordingSid, change: impl FnOnce(&mut Recording)) {
        self.shared.world().recording_mut(sid).map(change);
    }

    /// Returns every request that came in, the first first.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.world().journal.clone()
    }

    /// Returns the requests for one thing.
    pub fn requests_for(&self, endpoint: Endpoint) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| request.endpoint == endpoint || endpoint == Endpoint::Any);
        requests
    }

    /// Returns what there was to tell, and what became of it.
    pub fn callbacks(&self) -> Vec<Told> {
        self.shared.world().outbox.told().cloned().collect()
    }

    /// Waits until nothing is left to be told of a call but what is late.
    pub async fn settled(&self, call_sid: &CallSid) {
        self.deliveries(call_sid).await;
    }

    /// The same, and returns what came of it.
    pub(super) async fn deliveries(&self, call_sid: &CallSid) -> Vec<Delivery> {
        let mut changes = self.shared.changes();
        loop {
            changes.borrow_and_update();
            if let Some(deliveries) = self.shared.world().outbox.settled(call_sid) {
                return deliveries;
            }
            // The sender lives in `self`, so there is always one to wait for.
            let _ = changes.changed().await;
        }
    }
}

impl Shared {
    fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> Option<Arc<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn tell_change(&self) {
        self.changed.send_replace(());
    }

    /// Says whether a name and a password are those of the account or of its key.
    fn accepts(&self, user: &str, secret: &str) -> bool {
        // A token shows itself to nobody, but the same token signs the same.
        let signs_alike =
            |token| Validator::new(token, None).sign(user, &[]) == self.validator.sign(user, &[]);
        let is_account = user == self.account_sid.as_str();
        let is_key = |key: &ApiKey| key.sid == user && key.secret == secret;
        (is_account && AuthToken::new(secret).is_ok_and(signs_alike))
            || self.api_key.as_ref().is_some_and(is_key)
    }

    /// Returns the order that recordings report by which nobody here ordered.
    fn own_order(&self) -> RecordingOrder {
        RecordingOrder {
            status_callback: Some(self.public_url.callback(RECORDING_STATUS)),
            events: ["in-progress", "completed", "absent"].map(str::to_owned).into(),
            channels: "2",
            track: "both".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
