use std::collections::BTreeMap;

use super::*;
use crate::clock::{Clock as _, ManualClock};
use crate::config::Sources;
use crate::domain::UnixMillis;

/// 2026-01-01.
const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);

struct Box {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Box {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, clock: Arc::new(ManualClock::new(NOW)) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, server: &str) -> Config {
        let file = self.file("config.toml");
        let data_dir = self.file("data");
        std::fs::write(&file, format!("[server]\ndata_dir = {data_dir:?}\n{server}")).unwrap();
        let environment: BTreeMap<String, String> = BTreeMap::new();
        Config::load(&Sources { file: Some(file), environment: &environment }).unwrap()
    }

    /// Twilio's door under the certificate in `name`.
    fn twilio(&self, name: &str) -> Config {
        let (cert, key) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        self.config(&format!("twilio_tls = {{ cert = {cert:?}, key = {key:?} }}\n"))
    }

    /// Puts a certificate there that is good until a year begins; returns its fingerprint.
    fn put(&self, name: &str, until: i32) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2024, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let pem = parameters.self_signed(&key).unwrap().pem();
        std::fs::write(self.file(&format!("{name}.pem")), pem).unwrap();
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
        let Config { server, .. } = self.twilio(name);
        Identity::read(&server.twilio_tls.unwrap()).unwrap().fingerprint().to_owned()
    }

    fn open(&self, config: &Config) -> Certificates {
        let clock: SharedClock = Arc::clone(&self.clock) as SharedClock;
        Certificates::open(config, &clock)
    }
}

fn spoken(spoken: &Spoken) -> String {
    match &*spoken.borrow() {
        Tls::Plain => "plain".to_owned(),
        Tls::Mute => "mute".to_owned(),
        Tls::Under(identity) => identity.fingerprint().to_owned(),
    }
}

#[test]
fn new_files_are_taken_and_bad_ones_leave_the_old_certificate_where_it_is() {
    let office = Box::new();
    let first = office.put("twilio", 2027);
    let certificates = office.open(&office.twilio("twilio"));
    let door = certificates.twilio();
    assert_eq!((spoken(&door), spoken(&certificates.lan())), (first.clone(), "plain".to_owned()));
    assert_eq!(certificates.checks()[0].state, CheckState::Ok);

    let second = office.put("twilio", 2028);
    certificates.look();
    assert_eq!(spoken(&door), second);

    std::fs::write(office.file("twilio.key"), "half a ke").unwrap();
    certificates.look();
    assert_eq!(spoken(&door), second, "a renewal that went wrong");
    let check = &certificates.checks()[0];
    assert!(check.state == CheckState::Warn && check.detail.contains("no key"), "{check:?}");
    let refused = certificates.reload(&office.twilio("twilio")).unwrap_err();
    assert!(refused.starts_with("server.twilio_tls: "), "{refused}");
    assert_eq!(spoken(&door), second);

    office.put("twilio", 2025);
    certificates.look();
    assert_eq!(spoken(&door), second, "one that has expired is no better");

    let third = office.put("twilio", 2029);
    certificates.look();
    assert_eq!((spoken(&door), certificates.checks()[0].state), (third, CheckState::Ok));
}

#[test]
fn without_a_certificate_at_the_start_the_port_is_mute_until_there_is_one() {
    let office = Box::new();
    let certificates = office.open(&office.twilio("twilio"));
    let door = certificates.twilio();
    assert_eq!(spoken(&door), "mute");
    let check = &certificates.checks()[0];
    assert!(check.state == CheckState::Fail && check.detail.contains("twilio.pem"), "{check:?}");
    certificates.look();
    assert_eq!(spoken(&door), "mute");
    // The wrong year, and the only one there is.
    let expired = office.put("twilio", 2025);
    office.clock.jump_to(UnixMillis::new(0), false);
    certificates.look();
    assert_eq!(spoken(&door), expired, "a clock that is not synchronised proves nothing");
    assert_eq!(certificates.checks()[0].state, CheckState::Ok);
    office.clock.jump_to(NOW, true);
    let check = &certificates.checks()[0];
    assert!(check.state == CheckState::Fail && check.detail.contains("365 days"), "{check:?}");
}

#[test]
fn the_end_is_told_two_weeks_before() {
    let office = Box::new();
    office.put("twilio", 2027);
    let certificates = office.open(&office.twilio("twilio"));
    office.clock.advance(Duration::from_hours(24 * (365 - DAYS_ENOUGH.unsigned_abs())));
    assert_eq!(certificates.checks()[0].state, CheckState::Ok);
    office.clock.advance(Duration::from_secs(1));
    let check = &certificates.checks()[0];
    assert!(check.state == CheckState::Warn && check.detail.contains("13 more days"));
    assert!(office.clock.synchronised());
}

#[test]
fn the_page_gets_a_certificate_of_its_own_and_loses_it_by_a_reload() {
    let office = Box::new();
    let config = office.config("lan_tls = \"self-signed\"\n");
    let certificates = office.open(&config);
    let page = certificates.lan();
    let own = spoken(&page);
    assert!(certificates.checks()[0].detail.contains(&own), "a person compares it");
    assert_eq!(spoken(&office.open(&config).lan()), own, "it is kept");
    certificates.reload(&office.config("")).unwrap();
    assert_eq!((spoken(&page), certificates.checks().len()), ("plain".to_owned(), 0));
    certificates.reload(&config).unwrap();
    assert_eq!(spoken(&page), own);
}

#[test]
fn where_it_cannot_be_kept_the_page_has_another_certificate_until_it_can() {
    let office = Box::new();
    let config = office.config("lan_tls = \"self-signed\"\n");
    std::fs::write(office.file("data"), "where the folder should be").unwrap();
    let certificates = office.open(&config);
    let page = certificates.lan();
    let makeshift = spoken(&page);
    assert_eq!(certificates.checks()[0].state, CheckState::Warn);
    certificates.look();
    assert_eq!(spoken(&page), makeshift);
    std::fs::remove_file(office.file("data")).unwrap();
    certificates.look();
    assert_ne!(spoken(&page), makeshift);
    assert_eq!(certificates.checks()[0].state, CheckState::Ok);
}
