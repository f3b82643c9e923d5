//! Which call hears the agent's own microphone: one at a time, for it is one person's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::call::Message;
use super::fit::AgentSound;
use crate::domain::CallSid;

/// Where the agent sits, with a microphone of its own. A clone is the same desk.
#[derive(Debug, Clone, Default)]
pub(super) struct Desk {
    seat: Arc<Mutex<Option<Seat>>>,
}

/// The call at the desk.
#[derive(Debug)]
struct Seat {
    number: u64,
    call_sid: CallSid,
    mailbox: mpsc::Sender<Message>,
    /// Its stream is gone, perhaps for good: another call may sit down.
    is_waiting: bool,
}

/// A call's right to the microphone; dropped, it is given up.
#[derive(Debug)]
pub(super) struct Sitting {
    desk: Desk,
    number: u64,
}

impl Desk {
    /// Has a call sit down, or says which one sits there.
    pub(super) fn take(
        &self,
        number: u64,
        call_sid: &CallSid,
        mailbox: mpsc::Sender<Message>,
    ) -> Result<Sitting, CallSid> {
        let mut seat = self.lock();
        if let Some(other) = seat.as_ref().filter(|other| !other.is_waiting) {
            return Err(other.call_sid.clone());
        }
        *seat = Some(Seat { number, call_sid: call_sid.clone(), mailbox, is_waiting: false });
        Ok(Sitting { desk: self.clone(), number })
    }

    /// Says whether any call is there to hear it.
    pub(super) fn is_taken(&self) -> bool {
        self.lock().is_some()
    }

    /// Hands sound to the call at the desk. A call that has no room for it finds a hole in the
    /// count of samples.
    pub(super) fn hear(&self, sound: AgentSound) {
        if let Some(seat) = &*self.lock() {
            // Full or gone, see above.
            let _ = seat.mailbox.try_send(Message::Agent(sound));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seat>> {
        // Each change is one assignment: a panic elsewhere leaves nothing half done.
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sitting {
    /// Says whether the call waits for its stream.
    pub(super) fn set_waiting(&self, is_waiting: bool) {
        if let Some(seat) = self.desk.lock().as_mut().filter(|seat| seat.number == self.number) {
            seat.is_waiting = is_waiting;
        }
    }
}

impl Drop for Sitting {
    fn drop(&mut self) {
        self.desk.lock().take_if(|seat| seat.number == self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(n: u8) -> CallSid {
        format!("CA{n:032x}").parse().unwrap()
    }

    #[test]
    fn one_call_sits_at_the_desk_and_one_that_waits_for_its_stream_makes_room() {
        let (mailbox, _inbox) = mpsc::channel(1);
        let desk = Desk::default();
        assert!(!desk.is_taken());
        let first = desk.take(1, &sid(1), mailbox.clone()).unwrap();
        assert_eq!(desk.take(2, &sid(2), mailbox.clone()).unwrap_err(), sid(1));
        first.set_waiting(true);
        first.set_waiting(false);
        assert_eq!(desk.take(2, &sid(2), mailbox.clone()).unwrap_err(), sid(1), "it is back");
        first.set_waiting(true);
        let second = desk.take(2, &sid(2), mailbox.clone()).unwrap();
        first.set_waiting(true);
        drop(first);
        assert_eq!(desk.take(3, &sid(3), mailbox.clone()).unwrap_err(), sid(2), "it has the desk");
        drop(second);
        assert!(!desk.is_taken());
    }
}
