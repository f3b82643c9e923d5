//! Who comes in and who does not, with a real ledger.

use std::sync::Arc;

use super::sessions::{SESSION_AGE_MAX, SESSION_IDLE_MAX};
use super::*;
use crate::clock::ManualClock;
use crate::domain::UnixMillis;

const PASSWORD: &str = "two vans and a ladder";

struct Door {
    access: Access,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

impl Door {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("fieldtape.db")).unwrap();
        let clock = Arc::new(ManualClock::new(UnixMillis::new(1_790_000_000_000)));
        let access = Access::open(store, clock.clone()).await.unwrap();
        Self { access, clock, folder }
    }

    async fn with(self, name: &str, role: Role) -> Self {
        self.access.add_user(user(name, role)).await.unwrap();
        self
    }

    async fn log_in(&self, name: &str, password: &str) -> Result<Session, AccessError> {
        self.access.log_in(here(), name, password.to_owned()).await
    }
}

fn user(name: &str, role: Role) -> NewUser {
    NewUser { name: name.parse().unwrap(), role, password: PASSWORD.to_owned() }
}

fn here() -> IpAddr {
    "192.168.1.7".parse().unwrap()
}

#[tokio::test]
async fn there_is_nobody_until_the_code_makes_the_first_admin() {
    let door = Door::new().await;
    assert!(!door.access.has_users());
    door.log_in("admin", "admin").await.unwrap_err();
    let old = door.access.first_code().unwrap();
    let code = door.access.first_code().unwrap();
    for wrong in ["", "0000000000", old.reveal()] {
        let refused = door.access.first_user(here(), wrong, user("maria", Role::Viewer)).await;
        assert!(matches!(refused, Err(AccessError::WrongCode)), "{wrong}");
    }
    let first = door.access.first_user(here(), code.reveal(), user("maria", Role::Viewer));
    let first = first.await.unwrap();
    assert_eq!(first.actor.role, Role::Admin, "whatever was asked for");
    assert!(door.access.has_users() && door.access.first_code().is_none());
    let again = door.access.first_user(here(), code.reveal(), user("eve", Role::Admin)).await;
    assert!(matches!(again, Err(AccessError::WrongCode)));
    let seen = door.access.by_session(first.secret.reveal()).await.unwrap();
    assert_eq!(seen, Some(first.actor));
}

#[tokio::test]
async fn a_code_for_the_first_user_is_good_for_an_hour() {
    let door = Door::new().await;
    let code = door.access.first_code().unwrap();
    door.clock.advance(FIRST_CODE_LASTS);
    let late = door.access.first_user(here(), code.reveal(), user("maria", Role::Admin)).await;
    assert!(matches!(late, Err(AccessError::WrongCode)));
}

#[tokio::test]
async fn only_the_right_password_lets_in_and_guessing_is_slowed_down() {
    let door = Door::new().await.with("Maria", Role::Operator).await;
    let session = door.log_in("maria", PASSWORD).await.unwrap();
    assert_eq!((&*session.actor.name, session.actor.role), ("Maria", Role::Operator));
    for (name, password) in [("maria", "two vans and a lader"), ("nobody", PASSWORD), ("", "")] {
        let refused = door.log_in(name, password).await;
        assert!(matches!(refused, Err(AccessError::Wrong)), "{name}");
    }
    for _ in 0..6 {
        door.log_in("maria", "guess after guess").await.unwrap_err();
    }
    let refused = door.log_in("maria", PASSWORD).await;
    assert!(matches!(refused, Err(AccessError::TooOften { .. })), "even the right one waits");
    door.clock.advance(Duration::from_secs(10));
    door.log_in("maria", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_or_too_old_and_when_somebody_logs_out() {
    let door = Door::new().await.with("maria", Role::Viewer).await;
    let used = door.log_in("maria", PASSWORD).await.unwrap();
    let unused = door.log_in("maria", PASSWORD).await.unwrap();
    let left = door.log_in("maria", PASSWORD).await.unwrap();
    door.access.log_out(left.secret.reveal()).await.unwrap();
    let known = async |session: &Session| {
        door.access.by_session(session.secret.reveal()).await.unwrap().is_some()
    };
    assert!(known(&used).await && known(&unused).await && !known(&left).await);
    let step = SESSION_IDLE_MAX / 2;
    for _ in 0..2 {
        door.clock.advance(step);
        assert!(known(&used).await);
    }
    door.clock.advance(Duration::from_millis(1));
    assert!(!known(&unused).await);
    for _ in 2..SESSION_AGE_MAX.as_secs() / step.as_secs() {
        assert!(known(&used).await);
        door.clock.advance(step);
    }
    assert!(!known(&used).await, "30 days");
    assert!(door.access.by_session("").await.unwrap().is_none());
}

#[tokio::test]
async fn another_password_or_leaving_the_list_ends_every_session() {
    let door = Door::new().await.with("root", Role::Admin).await.with("maria", Role::Viewer).await;
    let old = door.log_in("maria", PASSWORD).await.unwrap();
    let weak = door.access.set_password("maria", "maria".to_owned()).await;
    assert!(matches!(weak, Err(AccessError::WeakPassword(_))));
    door.access.set_password("maria", "three vans and a ladder".to_owned()).await.unwrap();
    assert_eq!(door.access.by_session(old.secret.reveal()).await.unwrap(), None);
    door.log_in("maria", PASSWORD).await.unwrap_err();
    let new = door.log_in("maria", "three vans and a ladder").await.unwrap();
    door.access.set_role("maria", Role::Operator).await.unwrap();
    let seen = door.access.by_session(new.secret.reveal()).await.unwrap().unwrap();
    assert_eq!(seen.role, Role::Operator, "at once");
    door.access.remove_user("maria").await.unwrap();
    assert_eq!(door.access.by_session(new.secret.reveal()).await.unwrap(), None);
    let gone = door.access.set_password("maria", PASSWORD.to_owned()).await;
    assert!(matches!(gone, Err(AccessError::Unknown)));
}

#[tokio::test]
async fn the_last_admin_stays_one() {
    let door = Door::new().await.with("root", Role::Admin).await.with("maria", Role::Viewer).await;
    for refused in
        [door.access.remove_user("ROOT").await, door.access.set_role("root", Role::Operator).await]
    {
        assert!(matches!(refused, Err(AccessError::LastAdmin)));
    }
    door.access.set_role("maria", Role::Admin).await.unwrap();
    door.access.remove_user("root").await.unwrap();
    let twice = door.access.add_user(user("MARIA", Role::Viewer)).await;
    assert!(matches!(twice, Err(AccessError::Taken)));
}

#[tokio::test]
async fn a_token_is_good_until_it_expires_or_is_revoked_and_is_kept_nowhere() {
    let door = Door::new().await;
    let name: UserName = "wallboard".parse().unwrap();
    let day = Duration::from_hours(24);
    let token = door.access.make_token(&name, Role::Viewer, Some(day)).await.unwrap();
    let twice = door.access.make_token(&name, Role::Admin, None).await;
    assert!(matches!(twice, Err(AccessError::Taken)));
    let seen = door.access.by_token(here(), token.reveal()).await.unwrap();
    assert_eq!((&*seen.name, seen.role, seen.form_key), ("token wallboard", Role::Viewer, None));
    let ledger = std::fs::read(door.folder.path().join("fieldtape.db-wal")).unwrap();
    let secret = token.reveal().as_bytes();
    assert!(!ledger.windows(secret.len()).any(|bytes| bytes == secret));
    door.clock.advance(day);
    door.access.by_token(here(), token.reveal()).await.unwrap_err();
    door.access.revoke_token("wallboard").await.unwrap();
    let forever = door.access.make_token(&name, Role::Operator, None).await.unwrap();
    door.clock.advance(day * 400);
    door.access.by_token(here(), forever.reveal()).await.unwrap();
    door.access.revoke_token("wallboard").await.unwrap();
    door.access.by_token(here(), forever.reveal()).await.unwrap_err();
    assert_eq!(door.access.tokens().await.unwrap(), []);
}

#[test]
fn a_name_can_be_read_and_is_none_of_the_trails_own() {
    for good in ["maria", "m.ruiz@office-7.example", "Ольга"] {
        good.parse::<UserName>().unwrap();
    }
    for bad in ["", "Local", "a b", "<b>", "x\u{202e}y", &"n".repeat(65)] {
        bad.parse::<UserName>().unwrap_err();
    }
}
