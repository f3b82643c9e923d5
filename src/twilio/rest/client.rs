//! The requests we send.

use std::sync::Arc;

use super::line::{self, Answer, Ask, Credentials, Line, Timeouts};
use super::media::{self, Channels, Media};
use super::numbers::{self, AccountResource, CallOrder, NumberResource, NumberSettings};
use super::pages::Pages;
use super::resources::{self, CallResource, RecordingResource};
use super::target::Target;
use super::world::World;
use super::{RestError, error};
use crate::domain::{AccountSid, CallSid, RecordingSid, UnixMillis};

/// A machine on which no client can be built.
#[derive(Debug, thiserror::Error)]
#[error("no encrypted connection can be made on this machine; install its ca-certificates")]
pub struct NoClient(#[from] reqwest::Error);

/// A resource together with when Twilio said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated<T> {
    /// What it said.
    pub resource: T,
    /// When, by Twilio's clock, to the second: a second opinion about our own.
    pub date: Option<UnixMillis>,
}

/// What came of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It was there and is not any more.
    Deleted,
    /// Twilio did not have it: deleted before, or never in this account and region.
    WasNotThere,
}

/// The client of the REST API, of one account at one origin.
#[derive(Clone)]
pub struct Client {
    line: Arc<Line>,
}

impl Client {
    /// Takes the credentials, the account that everything is asked of, and how long to wait.
    pub fn new(
        credentials: Credentials,
        account: AccountSid,
        timeouts: Timeouts,
    ) -> Result<Self, NoClient> {
        Self::in_world(credentials, account, timeouts, World::real())
    }

    pub(super) fn in_world(
        credentials: Credentials,
        account: AccountSid,
        timeouts: Timeouts,
        world: World,
    ) -> Result<Self, NoClient> {
        let line = Line::new(credentials, account, timeouts, world)?;
        Ok(Self { line: Arc::new(line) })
    }

    /// Says whether the link is up: any HTTP answer from the origin shows that it is.
    pub async fn probe(&self) -> Result<(), RestError> {
        self.line.send(Ask::get(Target::account(&self.line.account))).await.map(drop)
    }

    /// Asks for the account itself. None when the credentials are good and may not see it: an API
    /// key may see its calls only.
    pub async fn account(&self) -> Result<Option<AccountResource>, RestError> {
        let account = &self.line.account;
        match self.get(Target::account(account)).await {
            Ok(answer) => numbers::account(account, &answer.body).map(Some),
            Err(RestError::Unauthorized { .. }) => {
                self.get(Target::one_call(account)).await.map(|_| None)
            }
            Err(error) => Err(error),
        }
    }

    /// Lists the account's own numbers.
    pub async fn numbers(&self) -> Result<Vec<NumberResource>, RestError> {
        let first = Target::numbers(&self.line.account);
        Pages::new(self.line.clone(), first, numbers::numbers).all().await
    }

    /// Sets what a number does with calls, as it is now. Asking twice is asking once.
    pub async fn set_number(
        &self,
        number: &NumberResource,
        settings: &NumberSettings,
    ) -> Result<NumberResource, RestError> {
        let target = Target::number(&self.line.account, &number.sid);
        let response = self.line.send(Ask::post(target, settings.fields(number))).await?;
        numbers::number(&self.line.account, &line::read(response).await?.body)
    }

    /// Places a call. On [`RestError::Unanswered`] it may ring all the same.
    pub async fn place_call(&self, order: &CallOrder) -> Result<CallResource, RestError> {
        let target = Target::calls(&self.line.account);
        let response = self.line.send(Ask::post(target, order.fields())).await?;
        let answer = line::read(response).await?;
        resources::call(&self.line.account, &answer.body).map_err(RestError::in_doubt)
    }

    /// Lists the calls that began at `since` or later.
    pub fn calls_since(&self, since: UnixMillis) -> Pages<CallResource> {
        let first = Target::calls_since(&self.line.account, since);
        Pages::new(self.line.clone(), first, resources::calls)
    }

    /// Lists the recordings that were created at `since` or later.
    pub fn recordings_since(&self, since: UnixMillis) -> Pages<RecordingResource> {
        let first = Target::recordings_since(&self.line.account, since);
        Pages::new(self.line.clone(), first, resources::recordings)
    }

    /// Asks for one call.
    pub async fn call(&self, sid: &CallSid) -> Result<CallResource, RestError> {
        let answer = self.get(Target::call(&self.line.account, sid)).await?;
        let call = resources::call(&self.line.account, &answer.body)?;
        if call.sid == *sid { Ok(call) } else { Err(RestError::garbled("another call")) }
    }

    /// Lists the recordings of one call.
    pub async fn recordings_of(&self, call: &CallSid) -> Result<Vec<RecordingResource>, RestError> {
        let first = Target::recordings_of(&self.line.account, call).in_large_pages();
        Pages::new(self.line.clone(), first, resources::recordings).all().await
    }

    /// Asks for one recording.
    pub async fn recording(
        &self,
        sid: &RecordingSid,
    ) -> Result<Dated<RecordingResource>, RestError> {
        let answer = self.get(Target::recording(&self.line.account, sid)).await?;
        let resource = resources::recording(&self.line.account, &answer.body)?;
        if resource.sid == *sid {
            Ok(Dated { resource, date: error::date(&answer.headers) })
        } else {
            Err(RestError::garbled("another recording"))
        }
    }

    /// Asks Twilio to record a call from now on, both sides on channels of their own, and to
    /// tell `status_callback` how it goes.
    ///
    /// On [`RestError::Unanswered`] look with [`Client::recordings_of`] before asking again:
    /// there is nothing in the request by which Twilio would know it for the same.
    pub async fn start_recording(
        &self,
        call: &CallSid,
        status_callback: &str,
    ) -> Result<RecordingResource, RestError> {
        let mut fields = vec![
            ("RecordingChannels", "dual".to_owned()),
            ("RecordingTrack", "both".to_owned()),
            ("Trim", "do-not-trim".to_owned()),
            ("RecordingStatusCallback", status_callback.to_owned()),
            ("RecordingStatusCallbackMethod", "POST".to_owned()),
        ];
        for event in ["in-progress", "completed", "absent"] {
            fields.push(("RecordingStatusCallbackEvent", event.to_owned()));
        }
        let target = Target::recordings_of(&self.line.account, call);
        let response = self.line.send(Ask::post(target, fields)).await?;
        let answer = line::read(response).await.map_err(RestError::of_a_start)?;
        resources::recording(&self.line.account, &answer.body).map_err(RestError::in_doubt)
    }

    /// Deletes a recording at Twilio, for good. Asking twice is asking once.
    pub async fn delete_recording(&self, sid: &RecordingSid) -> Result<Deletion, RestError> {
        let target = Target::recording(&self.line.account, sid);
        match line::read(self.line.send(Ask::delete(target)).await?).await {
            Ok(Answer { status: 204, .. }) => Ok(Deletion::Deleted),
            Ok(_) => Err(RestError::garbled("a deletion answered with something")),
            Err(RestError::NotFound) => Ok(Deletion::WasNotThere),
            Err(error) => Err(error),
        }
    }

    /// Deletes the record of a call that is over, for good. Asking twice is asking once.
    pub async fn delete_call(&self, sid: &CallSid) -> Result<Deletion, RestError> {
        let target = Target::call(&self.line.account, sid);
        match line::read(self.line.send(Ask::delete(target)).await?).await {
            Ok(Answer { status: 204, .. }) => Ok(Deletion::Deleted),
            Ok(_) => Err(RestError::garbled("a deletion answered with something")),
            Err(RestError::NotFound) => Ok(Deletion::WasNotThere),
            Err(error) => Err(error),
        }
    }

    /// Asks for a recording's sound, perhaps not from its start. The answer may be the whole
    /// file all the same: see [`Media::extent`].
    pub async fn media(
        &self,
        recording: &RecordingSid,
        channels: Channels,
        from_byte: u64,
    ) -> Result<Media, RestError> {
        media::fetch(&self.line, recording, channels, from_byte).await
    }

    async fn get(&self, target: Target) -> Result<Answer, RestError> {
        line::read(self.line.send(Ask::get(target)).await?).await
    }
}
