use super::*;

const DAY: Duration = Duration::from_hours(24);
const NOW: UnixMillis = UnixMillis::new(1_790_000_000_000);

/// Takes something away from evidence.
type Spoil = fn(&mut Evidence);

/// Evidence that lacks nothing.
fn whole() -> Evidence {
    let local = Fingerprint::of(b"what was said");
    let object = ArchiveObject {
        key: "recordings/a.wav".to_owned(),
        path: Some("recordings/a.wav".to_owned()),
        size_bytes: local.size_bytes,
        sha256: local.sha256.clone(),
        etag: Some(local.etag.clone()),
    };
    Evidence {
        recording_sid: format!("RE{:032x}", 7).parse().unwrap(),
        facts: Facts {
            asked_for: true,
            hold: false,
            fetch: Some(StageStatus::Completed),
            split: Some(StageStatus::Completed),
            transcript: Some(StageStatus::Skipped),
            archive: Some(StageStatus::Completed),
            has_archive: true,
            fetched: Some(Fetched {
                path: "recordings/a.wav".to_owned(),
                size_bytes: local.size_bytes,
                sha256: local.sha256.clone(),
                channels: 2,
            }),
        },
        times: Times {
            delete_after: DAY,
            now: NOW,
            synchronised: true,
            twilio_now: Some(NOW),
            created: Some(NOW.minus(DAY)),
            status: "completed".to_owned(),
            channels: Some(2),
        },
        local: Some(local),
        archive: ArchiveSays::Shown(object),
    }
}

#[test]
fn what_lacks_nothing_may_go_and_says_what_was_proved() {
    let proof = may_delete(whole()).unwrap();
    let told = proof.to_json();
    assert_eq!(told["age_s"], 86_400);
    assert_eq!(told["reread_here"]["sha256"], told["read_back_from_archive"]["sha256"]);
    assert_eq!(told["recording_sid"], proof.recording_sid().as_str());
    let mut alone = whole();
    alone.facts.has_archive = false;
    alone.facts.archive = None;
    alone.archive = ArchiveSays::NotConfigured;
    assert!(may_delete(alone).is_ok(), "without an archive the file here is the proof");
}

#[test]
fn each_thing_that_lacks_withholds() {
    let lacking: [(&str, Spoil); 24] = [
        ("not asked for", |e| e.facts.asked_for = false),
        ("held", |e| e.facts.hold = true),
        ("not fetched", |e| e.facts.fetched = None),
        ("another is being fetched", |e| e.facts.fetch = Some(StageStatus::Processing)),
        ("not split", |e| e.facts.split = None),
        ("split failed", |e| e.facts.split = Some(StageStatus::Failed)),
        ("transcript pending", |e| e.facts.transcript = Some(StageStatus::Pending)),
        ("transcript failed", |e| e.facts.transcript = Some(StageStatus::Failed)),
        ("archive pending", |e| e.facts.archive = Some(StageStatus::Pending)),
        ("archived before there was one", |e| e.facts.archive = Some(StageStatus::Skipped)),
        ("archive not asked", |e| e.archive = ArchiveSays::NotConfigured),
        ("archive empty", |e| e.archive = ArchiveSays::NotShown { why: "gone".to_owned() }),
        ("archive has something else", |e| {
            if let ArchiveSays::Shown(object) = &mut e.archive {
                object.sha256 = Fingerprint::of(b"noise").sha256;
            }
        }),
        ("file gone", |e| e.local = None),
        ("one channel of two", |e| e.facts.fetched.as_mut().unwrap().channels = 1),
        ("file altered", |e| e.local = Some(Fingerprint::of(b"what was sad"))),
        ("being recorded", |e| e.times.status = "in-progress".to_owned()),
        ("a word nobody knows", |e| e.times.status = "archived".to_owned()),
        ("clock unsure", |e| e.times.synchronised = false),
        ("no date", |e| e.times.twilio_now = None),
        ("no birthday", |e| e.times.created = None),
        ("too young", |e| e.times.created = Some(NOW.minus(DAY).plus(Duration::from_millis(1)))),
        ("from the future", |e| e.times.created = Some(NOW.plus(DAY))),
        ("too young by Twilio's clock", |e| {
            e.times.twilio_now = Some(NOW.minus(Duration::from_secs(1)));
        }),
    ];
    for (what, spoil) in lacking {
        let mut evidence = whole();
        spoil(&mut evidence);
        assert!(may_delete(evidence).is_err(), "{what}");
    }
}

#[test]
fn a_clock_that_jumped_is_caught_by_twilios() {
    let ten_years = Duration::from_hours(24 * 3653);
    for wrong in [NOW.plus(ten_years), NOW.minus(ten_years), NOW.plus(Duration::from_secs(301))] {
        let mut evidence = whole();
        evidence.times.created = Some(NOW.minus(Duration::from_hours(25)));
        evidence.times.now = wrong;
        assert!(matches!(may_delete(evidence), Err(Withheld::ClocksApart { .. })), "{wrong:?}");
    }
    let mut evidence = whole();
    evidence.times.created = Some(NOW.minus(Duration::from_hours(25)));
    evidence.times.now = NOW.plus(Duration::from_mins(5));
    assert!(may_delete(evidence).is_ok(), "five minutes are no jump");
}

#[test]
fn what_is_too_young_says_how_long_it_takes() {
    let mut evidence = whole();
    evidence.times.created = Some(NOW.minus(Duration::from_hours(23)));
    let left = Duration::from_hours(1);
    assert_eq!(may_delete(evidence).unwrap_err(), Withheld::TooYoung { left });
}
