//! Ringing a number, once.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use tokio_util::task::TaskTracker;

use crate::clock::{Reading, SharedClock};
use crate::contacts::{BadNumber, Country, Number};
use crate::domain::{CallSid, Direction, Origin, last_four};
use crate::store::{NewCall, Ordered, Store, StoreError, order_window};
use crate::twilio::door::PublicUrl;
use crate::twilio::rest::{CallOrder, CallResource, Client, RestError};

/// What the addresses of an order carry, so that whatever is told of its call is known to be of it.
const ORDER_PARAMETER: &str = "order";

/// The pauses between looks for a call that Twilio did not confirm: its lists lag a little behind.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// Requests for one call: a second one when the first left no trace at Twilio.
const REQUESTS_MAX: u32 = 2;

/// How often a request that Twilio had no room for is sent again; it was not processed.
const THROTTLED_MAX: u32 = 3;

/// How long somebody who waits for the telephone to ring is kept waiting by Twilio's wish for a pause.
const THROTTLED_FOR: Duration = Duration::from_secs(5);

/// What ringing needs.
pub struct DiallerOptions {
    /// Twilio, with the patience of somebody who waits.
    pub client: Client,
    /// The ledger.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// The number that the office rings out from.
    pub from: Option<String>,
    /// Whether there is an agent to connect to.
    pub has_agent: bool,
    /// Whose numbers are meant where no country is written.
    pub country: Country,
    /// Where Twilio asks what to do and tells how it goes.
    pub public_url: PublicUrl,
    /// Where the ringing runs: it goes on when whoever asked for it is gone.
    pub tasks: TaskTracker,
}

/// Rings numbers. A clone is another handle to the same.
#[derive(Clone)]
pub struct Dialler {
    options: Arc<DiallerOptions>,
}

/// Why nobody was rung, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum NotRung {
    /// The number is none.
    #[error(transparent)]
    Number(#[from] BadNumber),
    /// Something is not set up.
    #[error("nobody can be rung yet: set {what} in the configuration")]
    NotSetUp {
        /// The key.
        what: &'static str,
    },
    /// The same number is being rung, or spoken to.
    #[error("that number is being rung already, in the call {0}")]
    Already(CallSid),
    /// Twilio did not take the call.
    #[error("nobody was rung: {why}")]
    Refused {
        /// The call's row, which says so too.
        call_sid: CallSid,
        /// What stood in the way.
        why: String,
    },
    /// The ledger did not take it, so Twilio was not asked.
    #[error("nobody was rung: the ledger does not take the call")]
    Store(#[from] StoreError),
    /// This machine has no randomness, or no thread.
    #[error("nobody was rung: {0}")]
    Broken(String),
}

/// Returns the order that a request is of, by its query.
pub fn order_of(query: Option<&str>) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(name, _)| name == ORDER_PARAMETER).map(|(_, key)| key.into_owned())
}

/// A call that is being ordered.
struct Order {
    key: String,
    number: Number,
    from: String,
    asked: Reading,
    /// What the call is called here until Twilio has a name for it.
    first_sid: CallSid,
}

/// What one request came to.
enum Tried {
    Placed(Box<CallResource>),
    Refused(String),
    Busy { after: Option<Duration> },
    Unanswered(String),
}

/// What looking for a call came to.
enum Found {
    Call,
    /// Twilio has none like it.
    None,
    /// Twilio could not be asked.
    Unknown,
}

impl Dialler {
    /// Makes one.
    pub fn new(options: DiallerOptions) -> Self {
        Self { options: Arc::new(options) }
    }

    /// Rings a number and connects whoever answers to the agent. Returns the call's name, whether
    /// Twilio said that it rings or not: its row says what is known.
    pub async fn ring(&self, text: &str) -> Result<CallSid, NotRung> {
        let number = Number::parse(text, self.options.country)?;
        let from = self.options.from.clone();
        let from = from.ok_or(NotRung::NotSetUp { what: "twilio.caller_id" })?;
        if !self.options.has_agent {
            let what = "twilio.agent_number or twilio.agent_identity";
            return Err(NotRung::NotSetUp { what });
        }
        let options = Arc::clone(&self.options);
        // Whoever asked may hang up at any moment; the order is followed to its end.
        let ringing = self.options.tasks.spawn(async move {
            let order = Order::new(number, from, options.clock.reading())?;
            options.ring(&order).await
        });
        ringing.await.map_err(|error| NotRung::Broken(error.to_string()))?
    }
}

impl Order {
    fn new(number: Number, from: String, asked: Reading) -> Result<Self, NotRung> {
        let mut bytes = [[0; 16]; 2];
        for half in &mut bytes {
            OsRng.try_fill_bytes(half).map_err(|error| NotRung::Broken(error.to_string()))?;
        }
        let [key, name] = bytes;
        let first_sid = format!("CA{:032x}", u128::from_be_bytes(name));
        let first_sid =
            first_sid.parse().map_err(|_| NotRung::Broken(format!("{first_sid} is no name")))?;
        Ok(Self { key: URL_SAFE_NO_PAD.encode(key), number, from, asked, first_sid })
    }

    fn row(&self) -> NewCall {
        NewCall {
            call_sid: self.first_sid.clone(),
            parent_call_sid: None,
            direction: Direction::Outbound,
            origin: Origin::Rest,
            from_number: self.from.clone(),
            to_number: self.number.as_str().to_owned(),
            call_status: "queued".to_owned(),
            at: self.asked.at,
            boot: Some(self.asked.boot.clone()),
            clock_synced: self.asked.synchronised,
            live_copy: true,
        }
    }

    fn request(&self, public_url: &PublicUrl) -> CallOrder {
        // The key is of letters that a query takes as they are.
        let address = |path: &str| format!("{path}?{ORDER_PARAMETER}={}", self.key);
        CallOrder {
            to: self.number.as_str().to_owned(),
            from: self.from.clone(),
            url: public_url.callback(&address("/twilio/voice")),
            status_callback: public_url.callback(&address("/twilio/status")),
        }
    }
}

impl DiallerOptions {
    async fn ring(&self, order: &Order) -> Result<CallSid, NotRung> {
        let boot = order.asked.boot.clone();
        match self.store.order_call(order.row(), order.key.clone(), boot).await? {
            Ordered::Now => {}
            Ordered::Before(call_sid) => return Err(NotRung::Already(call_sid)),
        }
        let sid = &order.first_sid;
        let tail = last_four(order.number.as_str());
        tracing::info!(call.sid = %sid, event = "call.ordered", "Twilio is asked to ring {tail}");
        match self.request(order).await {
            Ok(()) => self.name_of(order).await,
            Err(why) => {
                tracing::error!(call.sid = %sid, event = "call.failed", error = why, "{tail} was not rung: {why}");
                let now = self.clock.reading();
                self.store.order_failed(order.key.clone(), why.clone(), now).await?;
                // Twilio may have told of the call at the last moment.
                match self.store.order(order.key.clone()).await? {
                    Some(row) if row.is_placed => Ok(row.call_sid),
                    _ => Err(NotRung::Refused { call_sid: sid.clone(), why }),
                }
            }
        }
    }

    /// Returns what the call is called by now.
    async fn name_of(&self, order: &Order) -> Result<CallSid, NotRung> {
        let row = self.store.order(order.key.clone()).await?;
        Ok(row.map_or_else(|| order.first_sid.clone(), |row| row.call_sid))
    }

    /// Asks until Twilio has the call, or certainly has it not. Fails with the reason for the latter.
    async fn request(&self, order: &Order) -> Result<(), String> {
        let (mut requests, mut throttled) = (0, 0);
        loop {
            requests += 1;
            match self.ask(order).await {
                Tried::Placed(call) => {
                    self.placed(order, &call).await;
                    return Ok(());
                }
                Tried::Refused(why) => return Err(why),
                Tried::Busy { .. } if throttled == THROTTLED_MAX => {
                    return Err("Twilio has too many requests of this account at once".to_owned());
                }
                Tried::Busy { after } => {
                    throttled += 1;
                    requests -= 1;
                    let pause = after.unwrap_or(Duration::from_secs(1)).min(THROTTLED_FOR);
                    self.clock.sleep(pause).await;
                }
                Tried::Unanswered(why) => match self.look_for(order, &why).await {
                    Found::Call => return Ok(()),
                    Found::None if requests < REQUESTS_MAX => {
                        tracing::warn!(call.sid = %order.first_sid, event = "call.repeated", "Twilio has no call like {}; it is asked once more", order.first_sid);
                    }
                    Found::None | Found::Unknown => {
                        self.unknown(order, &why).await;
                        return Ok(());
                    }
                },
            }
        }
    }

    async fn ask(&self, order: &Order) -> Tried {
        match self.client.place_call(&order.request(&self.public_url)).await {
            Ok(call) => Tried::Placed(Box::new(call)),
            Err(RestError::Throttled { after }) => Tried::Busy { after },
            Err(RestError::Unanswered { why }) => Tried::Unanswered(why),
            Err(error) => Tried::Refused(error.to_string()),
        }
    }

    /// Puts down what Twilio calls the call. The call is placed, whatever the ledger says to it: what
    /// Twilio tells of it carries the order's key.
    async fn placed(&self, order: &Order, call: &CallResource) {
        let (sid, word) = (&call.sid, call.status.as_str());
        tracing::info!(call.sid = %sid, event = "call.placed", call_status = word, "{} is {sid} at Twilio ({word})", order.first_sid);
        if let Err(error) = self.store.order_placed(order.key.clone(), sid.clone()).await {
            tracing::error!(call.sid = %sid, error = %error, "the ledger does not take the name of {sid}; it is taken from the next thing that Twilio tells of it");
        }
    }

    /// Looks whether the call is there after all: by what Twilio has told here, and by its lists.
    async fn look_for(&self, order: &Order, why: &str) -> Found {
        let first = &order.first_sid;
        tracing::warn!(call.sid = %first, event = "call.unanswered", error = why, "Twilio did not say whether it rings; the call is looked for there");
        let mut found = Found::Unknown;
        for pause in LOOKS {
            self.clock.sleep(pause).await;
            if let Ok(Some(row)) = self.store.order(order.key.clone()).await
                && row.is_placed
            {
                return Found::Call;
            }
            match self.like(order).await {
                Ok(Some(call)) => {
                    self.placed(order, &call).await;
                    return Found::Call;
                }
                Ok(None) => found = Found::None,
                Err(error) => {
                    tracing::warn!(call.sid = %first, event = "call.unanswered", error = %error, "Twilio could not be asked for the call: {error}");
                    found = Found::Unknown;
                }
            }
        }
        found
    }

    /// Returns the call at Twilio that must be this one: ordered between the same numbers, not before,
    /// and unknown here.
    async fn like(&self, order: &Order) -> Result<Option<CallResource>, RestError> {
        let numbers = (order.from.as_str(), order.number.as_str());
        let since = order_window(order.asked.at);
        let since_midnight = since.minus(Duration::from_hours(24));
        for call in self.client.calls_between(numbers, since_midnight).await? {
            let began = call.date_created.or(call.start_time);
            let in_time = !order.asked.synchronised || began.is_none_or(|began| began >= since);
            let is_ordered = call.origin() == Origin::Rest && !call.is_child_leg();
            if !in_time || !is_ordered {
                continue;
            }
            // One that the ledger cannot say anything of is not taken for another's.
            if let Ok(None) = self.store.call(&call.sid).await {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    /// Says in the row that nobody knows. What Twilio tells later, or its lists, settle it.
    async fn unknown(&self, order: &Order, why: &str) {
        let sid = &order.first_sid;
        let told = format!(
            "it is not known whether the telephone rang: {why}; Twilio is asked again, and nobody is \
             rung a second time"
        );
        tracing::error!(call.sid = %sid, event = "call.unknown", error = why, "{sid}: {told}");
        if let Err(error) = self.store.order_unanswered(order.key.clone(), told).await {
            tracing::error!(call.sid = %sid, error = %error, "the ledger does not take that it is not known whether {sid} rang");
        }
    }
}
