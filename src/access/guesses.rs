//! Slows down whoever guesses.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as Governing, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::AccessError;
use crate::clock::SharedClock;

/// Tries at once: a person who does not remember which password it was.
const TRIES_AT_ONCE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// And from then on one in so long: 8640 a day, of passwords with ten characters or more.
const TRY_EVERY: Duration = Duration::from_secs(10);

/// Addresses remembered before those that have waited long enough are forgotten.
const ADDRESSES_MAX: usize = 1024;

/// Tries by address.
pub(super) struct Guesses {
    limiter: RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, Ticks, NoOpMiddleware<Nanos>>,
    ticks: Ticks,
}

/// The appliance's clock, as the limiter asks it.
#[derive(Clone)]
struct Ticks(SharedClock);

impl Governing for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.since_boot())
    }
}

impl Guesses {
    pub(super) fn new(clock: &SharedClock) -> Self {
        let ticks = Ticks(clock.clone());
        let quota = Quota::with_period(TRY_EVERY).unwrap_or(Quota::per_hour(TRIES_AT_ONCE));
        let quota = quota.allow_burst(TRIES_AT_ONCE);
        Self {
            limiter: RateLimiter::new(quota, DefaultKeyedStateStore::default(), ticks.clone()),
            ticks,
        }
    }

    /// Counts a try from `address`, before it is looked at.
    pub(super) fn one_more(&self, address: IpAddr) -> Result<(), AccessError> {
        if self.limiter.len() > ADDRESSES_MAX {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&site(address)).map_err(|not_until| {
            let wait: Duration =
                not_until.earliest_possible().duration_since(self.ticks.now()).into();
            AccessError::TooOften { wait_s: wait.as_secs() + 1 }
        })
    }
}

/// What one guesser holds: an IPv4 address, or the network of an IPv6 one.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::UnixMillis;

    #[test]
    fn after_ten_tries_an_address_waits_and_others_do_not() {
        let manual = Arc::new(ManualClock::new(UnixMillis::new(0)));
        let clock: SharedClock = manual.clone();
        let guesses = Guesses::new(&clock);
        let near: IpAddr = "2001:db8:1:2::3".parse().unwrap();
        for _ in 0..10 {
            guesses.one_more(near).unwrap();
        }
        let neighbour = "2001:db8:1:2:ffff::9".parse().unwrap();
        let refused = guesses.one_more(neighbour).unwrap_err();
        assert!(matches!(refused, AccessError::TooOften { wait_s: 10 | 11 }), "{refused}");
        guesses.one_more("192.168.1.7".parse().unwrap()).unwrap();
        manual.advance(TRY_EVERY);
        guesses.one_more(near).unwrap();
        guesses.one_more(near).unwrap_err();
    }
}
