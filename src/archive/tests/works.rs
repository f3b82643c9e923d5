//! The two stages whole.

use std::path::Path;

use super::super::fingerprint::Fingerprint;
use super::house::*;
use super::server::Lie;
use super::*;
use crate::clock::Clock as _;
use crate::domain::*;
use crate::pipeline::Verdict;
use crate::store::Output;

fn puts(seen: &[String]) -> Vec<String> {
    let puts = seen.iter().filter_map(|seen| seen.strip_prefix("PUT "));
    puts.map(|key| key.rsplit('/').next().unwrap().trim_end_matches('?').to_owned()).collect()
}

fn waits(why: &Verdict, word: WaitingFor) {
    match why {
        Verdict::Waits { waiting_for, .. } => assert_eq!(*waiting_for, word, "{why:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_is_archived_whole_with_its_manifest_last() {
    let house = House::with_a_call().await;
    let verdict = house.archive().await;
    let Verdict::Done(Output::Archived { objects }) = verdict else { panic!("{verdict:?}") };
    let names = puts(&house.s3.seen());
    let cloud_name = format!("cloud_{}.wav", recording());
    let expected = [
        cloud_name.as_str(),
        "agent_8000Hz.wav",
        "technician_8000Hz.wav",
        "transcript.json",
        "transcript.txt",
        "manifest.json",
    ];
    assert_eq!(names, expected);
    assert_eq!(house.store.archive_objects(&call_sid()).await.unwrap().len(), objects.len());
    for object in &objects {
        let held = house.s3.object(&object.key).unwrap();
        assert_eq!(Fingerprint::of(&held).sha256, object.sha256, "{}", object.key);
    }
    let page = house.s3.object(&format!("{FOLDER}/manifest.json")).unwrap();
    let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
    assert_eq!(page["call"]["from_number"], "+15550100");
    assert_eq!(page["call"]["created_at"], "2026-09-21T14:13:20Z");
    assert_eq!(page["files"].as_array().unwrap().len(), 5);
    assert_eq!(page["files"][0]["recording_sid"], recording().as_str());
    assert_eq!(page["files"][1]["track"]["party"], "agent");
    assert_eq!(page["transcript"]["model"], "tiny.en");
}

#[tokio::test]
async fn what_the_archive_shows_already_is_not_sent_again() {
    let house = House::with_a_call().await;
    house.archive().await;
    house.settle_a_new_transcript().await;
    house.s3.seen();
    assert!(matches!(house.archive().await, Verdict::Done(_)));
    let seen = house.s3.seen();
    let changed = ["transcript.json", "transcript.txt", "manifest.json"];
    assert_eq!(puts(&seen), changed, "the words are others now");
    let read_back = |seen: &String| seen.starts_with("GET") && seen.contains(".wav");
    assert!(!seen.iter().any(read_back), "its marks are proof enough here");
}

#[tokio::test]
async fn a_file_that_was_altered_here_is_told_and_replaces_nothing() {
    let house = House::with_a_call().await;
    house.archive().await;
    let good = house.s3.object(&cloud()).unwrap();
    house.write(&cloud(), "bots");
    house.make_due(Stage::Archive);
    let verdict = house.archive().await;
    let Verdict::Never { why } = verdict else { panic!("{verdict:?}") };
    assert!(why.contains("is not the file that was recorded"), "{why}");
    assert_eq!(house.s3.object(&cloud()).unwrap(), good);
}

#[tokio::test]
async fn an_archive_that_fails_is_told_and_tried_for_ever() {
    let house = House::with_a_call().await;
    for (lie, counts) in [
        (Lie::KeepsNothing, true),
        (Lie::KeepsHalf, true),
        (Lie::Says(503, "SlowDown"), true),
        (Lie::Says(403, "AccessDenied"), false),
        (Lie::Says(404, "NoSuchBucket"), false),
    ] {
        house.s3.lie(lie);
        let verdict = house.archive().await;
        assert_eq!(matches!(verdict, Verdict::Again { .. }), counts, "{lie:?}: {verdict:?}");
        assert_eq!(matches!(verdict, Verdict::Never { .. }), !counts, "{lie:?}: {verdict:?}");
    }
    house.s3.lie(Lie::None);
    assert!(matches!(house.archive().await, Verdict::Done(_)));
}

#[tokio::test]
async fn without_an_archive_there_is_nothing_to_do() {
    let house = House::with_a_call().await;
    let work = ArchiveWork::new(ArchiveWorkOptions {
        store: house.store.clone(),
        vault: house.vault.clone(),
        remote: None,
        render: render(),
    });
    assert_eq!(house.run(Stage::Archive, &work).await, Verdict::Nothing);
    house.clock.advance(DAY);
    let delete = DeleteWork::new(DeleteWorkOptions { remote: None, ..house.deleting() });
    assert_eq!(house.run(Stage::Delete, &delete).await, Verdict::Done(Output::Deleted));
    assert!(house.audit()[1].1["read_back_from_archive"].is_null(), "and that is what is said");
}

#[tokio::test]
async fn twilios_copy_goes_with_a_row_that_says_why_it_could() {
    let house = House::with_a_call().await;
    house.archive().await;
    house.clock.advance(DAY);
    assert_eq!(house.delete().await, Verdict::Done(Output::Deleted));
    assert!(!house.twilio.has());
    let audit = house.audit();
    let actions: Vec<_> = audit.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["prove-deletion", "delete-at-twilio"]);
    let proof = &audit[1].1;
    let sha256 = Fingerprint::of(&std::fs::read(house.file(&cloud())).unwrap()).sha256;
    assert_eq!(proof["outcome"], "deleted");
    assert_eq!(proof["reread_here"]["sha256"], sha256);
    assert_eq!(proof["read_back_from_archive"]["sha256"], sha256);
    assert_eq!(proof["age_s"], 86_400);
    let detail = house.store.call(&call_sid()).await.unwrap().unwrap();
    assert_eq!(detail.cloud_recordings[0].twilio_deleted_at, Some(BORN.plus(DAY)));
    house.make_due(Stage::Delete);
    assert_eq!(house.delete().await, Verdict::Done(Output::Deleted));
    assert_eq!(house.twilio.deletions(), 1, "asked for once");
}

#[tokio::test]
async fn nothing_is_deleted_while_anything_speaks_against_it() {
    let house = House::with_a_call().await;
    house.archive().await;
    let young = house.delete().await;
    waits(&young, WaitingFor::Clock);
    house.clock.advance(DAY);
    house.clock.jump_to(house.clock.now(), false);
    waits(&house.delete().await, WaitingFor::Clock);
    house.clock.jump_to(house.clock.now(), true);
    house.sql().execute("update calls set hold = 1", []).unwrap();
    waits(&house.delete().await, WaitingFor::Recording);
    house.sql().execute("update calls set hold = 0", []).unwrap();
    house.twilio.shared.recordings.lock().unwrap().insert(recording().to_string(), "processing");
    waits(&house.delete().await, WaitingFor::Recording);
    house.twilio.shared.recordings.lock().unwrap().insert(recording().to_string(), "completed");
    house
        .sql()
        .execute("update stages set status = 'failed' where stage = 'transcript'", [])
        .unwrap();
    waits(&house.delete().await, WaitingFor::Model);
    house
        .sql()
        .execute("update stages set status = 'completed' where stage = 'transcript'", [])
        .unwrap();
    let not_asked = DeleteWork::new(DeleteWorkOptions { asked_for: false, ..house.deleting() });
    assert_eq!(house.run(Stage::Delete, &not_asked).await, Verdict::Nothing);
    house.make_due(Stage::Delete);
    house.s3.lie(Lie::Says(503, "SlowDown"));
    assert!(matches!(house.delete().await, Verdict::Again { .. }));
    house.s3.lie(Lie::None);
    house.sql().execute("update cloud_recordings set channels = 1", []).unwrap();
    assert!(matches!(house.delete().await, Verdict::Never { .. }), "only half of it is here");
    house.sql().execute("update cloud_recordings set channels = 2", []).unwrap();
    assert_eq!((house.twilio.deletions(), house.audit().len()), (0, 0));
    assert_eq!(house.delete().await, Verdict::Done(Output::Deleted), "nothing else was wrong");
}

#[tokio::test]
async fn a_copy_here_that_is_no_good_is_fetched_anew() {
    let spoils: [fn(&Path); 2] =
        [|path| std::fs::write(path, "noise").unwrap(), |path| std::fs::remove_file(path).unwrap()];
    for spoil in spoils {
        for finds in [Stage::Archive, Stage::Delete] {
            let house = House::with_a_call().await;
            house.archive().await;
            house.clock.advance(DAY);
            spoil(&house.file(&cloud()));
            match finds {
                Stage::Archive => {
                    house.make_due(Stage::Archive);
                    assert!(matches!(house.archive().await, Verdict::Never { .. }));
                }
                _ => waits(&house.delete().await, WaitingFor::Recording),
            }
            assert!(house.twilio.has() && !house.file(&cloud()).exists(), "{finds}");
            house.fetch().await;
            house.archive().await;
            assert_eq!(house.delete().await, Verdict::Done(Output::Deleted), "{finds}");
            assert_eq!(house.audit()[0].0, "prove-deletion");
        }
    }
}

#[tokio::test]
async fn what_the_archive_lost_is_put_there_again_before_twilios_copy_goes() {
    for (alter, what) in [(None, "lost"), (Some(b"rotten".repeat(66)), "rotten")] {
        let house = House::with_a_call().await;
        house.archive().await;
        let good = house.s3.object(&cloud()).unwrap();
        house.s3.alter(&cloud(), |_| alter);
        house.clock.advance(DAY);
        house.s3.lie(Lie::KeepsGarbage);
        assert!(matches!(house.delete().await, Verdict::Again { .. }), "{what}");
        assert!(house.twilio.has(), "{what}");
        house.s3.lie(Lie::None);
        assert_eq!(house.delete().await, Verdict::Done(Output::Deleted), "{what}");
        assert_eq!(house.s3.object(&cloud()).unwrap(), good, "{what}");
    }
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_has_its_proof_all_the_same() {
    let house = House::with_a_call().await;
    house.archive().await;
    house.clock.advance(DAY);
    *house.twilio.shared.mumbles.lock().unwrap() = true;
    assert!(matches!(house.delete().await, Verdict::Again { .. }));
    assert_eq!(house.delete().await, Verdict::Done(Output::Deleted));
    assert_eq!(house.twilio.deletions(), 1, "it was not there to be deleted again");
    let audit = house.audit();
    assert_eq!(audit[0].0, "prove-deletion");
    assert_eq!(audit[1].1["outcome"], "was not there");
}
