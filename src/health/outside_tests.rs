use super::super::CheckState;
use super::*;
use crate::clock::Synchronised;

const NOW: UnixMillis = UnixMillis::new(1_790_000_000_000);
const DAY_MS: i64 = 86_400_000;

fn url(text: &str) -> PublicUrl {
    PublicUrl::parse(text).unwrap()
}

fn trip(instance: &str, days_left: i64) -> RoundTrip {
    RoundTrip {
        instance: instance.to_owned(),
        certificate_until: Some(UnixMillis::new(NOW.get() + days_left * DAY_MS)),
        stream: Ok(()),
    }
}

fn judged(text: &str, came: Result<RoundTrip, RoundTripError>) -> Check {
    public_url(Some(&url(text)), &Reach::Here { instance: "this run", came }, NOW)
}

#[test]
fn the_way_in_is_good_when_webhook_and_stream_come_to_this_very_run() {
    let good = judged("https://calls.fieldtape.io", Ok(trip("this run", 60)));
    assert_eq!(good.state, CheckState::Ok, "{good:?}");
    assert!(good.detail.contains("certificate for 60 more days"), "{good:?}");
    let soon = judged("https://calls.fieldtape.io", Ok(trip("this run", 10)));
    assert_eq!(soon.state, CheckState::Warn, "{soon:?}");
    let other = judged("https://calls.fieldtape.io", Ok(trip("another run", 60)));
    assert!(other.state == CheckState::Fail && other.detail.contains("another fieldtape"));
    let deaf = RoundTrip { stream: Err("HTTP 400".to_owned()), ..trip("this run", 60) };
    let deaf = judged("https://calls.fieldtape.io", Ok(deaf));
    assert!(deaf.state == CheckState::Fail && deaf.fix.unwrap().contains("WebSockets"));
}

#[test]
fn an_address_that_twilio_cannot_call_is_not_taken_for_good() {
    for here_only in [
        "https://127.0.0.1:8443",
        "https://[::1]:8443",
        "https://192.168.1.7",
        "https://box.local",
        "https://localhost:9",
        "https://box",
    ] {
        assert_eq!(
            judged(here_only, Ok(trip("this run", 60))).state,
            CheckState::Warn,
            "{here_only}"
        );
    }
    for example in ["https://calls.example.org", "https://demo.invalid", "https://a.TEST:8443"] {
        assert!(is_example(&url(example)));
        assert_eq!(judged(example, Ok(trip("this run", 60))).state, CheckState::Fail, "{example}");
    }
    assert!(!is_example(&url("https://notexample.com")));
    assert_eq!(public_url(None, &Reach::NotSet, NOW).state, CheckState::Warn);
    let unsigned = public_url(Some(&url("https://calls.fieldtape.io")), &Reach::NotSet, NOW);
    assert_eq!(unsigned.state, CheckState::Unknown);
    let unseen = Reach::NobodyHere(Ok(trip("some run", 60)));
    let unseen = public_url(Some(&url("https://calls.fieldtape.io")), &unseen, NOW);
    assert_eq!(unseen.state, CheckState::Unknown);
}

#[test]
fn every_way_in_which_nothing_comes_back_has_a_cure() {
    for error in [
        RoundTripError::NoClient,
        RoundTripError::Unreachable { why: "refused".to_owned() },
        RoundTripError::Certificate { why: "expired".to_owned() },
        RoundTripError::Refused,
        RoundTripError::Elsewhere { status: 502 },
    ] {
        let check = judged("https://calls.fieldtape.io", Err(error));
        assert!(check.state == CheckState::Fail && check.fix.is_some(), "{check:?}");
    }
}

#[test]
fn twilio_is_judged_by_what_a_person_can_do_about_its_answer() {
    let account = |status: &str| {
        let (friendly_name, status) = ("Field office".to_owned(), status.to_owned());
        Ok(Some(AccountResource { friendly_name, status, is_trial: false }))
    };
    let unreachable = RestError::Unreachable { why: "no connection".to_owned() };
    for (answer, state) in [
        (account("active"), CheckState::Ok),
        (account("suspended"), CheckState::Fail),
        (Ok(None), CheckState::Ok),
        (Err(RestError::Unauthorized { status: 401 }), CheckState::Fail),
        (Err(unreachable), CheckState::Warn),
        (Err(RestError::Busy { status: 503, after: None }), CheckState::Warn),
    ] {
        assert_eq!(twilio(answer.clone()).state, state, "{answer:?}");
    }
    assert_eq!(link(None).state, CheckState::Unknown, "what was never tried is not well");
    assert_eq!(link(Some(&LinkState::Up)).state, CheckState::Ok);
    assert_eq!(archive(Some(Err("denied".to_owned()))).state, CheckState::Warn);
    assert_eq!(clock(Synchronised::No).state, CheckState::Warn);
}

#[test]
fn a_backup_that_was_never_made_is_told_as_soon_as_there_is_something_to_lose() {
    let ago = |days: i64| Some(UnixMillis::new(NOW.get() - days * DAY_MS));
    for (backed_up_at, first_call_at, state) in [
        (None, None, CheckState::Ok),
        (None, ago(3), CheckState::Ok),
        (None, ago(9), CheckState::Warn),
        (ago(0), ago(90), CheckState::Ok),
        (ago(9), ago(90), CheckState::Warn),
    ] {
        let check = backup(Kept { backed_up_at, first_call_at }, NOW, true);
        assert_eq!(check.state, state, "{check:?}");
    }
    let kept = Kept { backed_up_at: None, first_call_at: ago(9) };
    assert_eq!(backup(kept, NOW, false).state, CheckState::Unknown);
}
