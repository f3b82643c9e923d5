use std::fs::OpenOptions;
use std::io::Write as _;

use proptest::prelude::*;

use super::tests::*;
use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{Party, RateHz};

#[test]
fn what_a_crash_leaves_is_made_whole_with_tracks_of_one_length() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    let lengths = [(Party::Agent, RateHz::Hz8000, 800), (Party::Agent, RateHz::Hz16000, 1500)]
        .into_iter()
        .chain([(Party::Technician, RateHz::Hz8000, 700)])
        .chain([(Party::Technician, RateHz::Hz16000, 1601)]);
    for (party, rate, samples) in lengths.clone() {
        let mut track = vault.open_track(&folder, name(party, rate)).unwrap();
        track.append(&speech(samples)).unwrap();
        vault.sync_now();
        drop(track);
        // Half a sample, as a write leaves it that a kill interrupted.
        let path = part(&vault, &folder, name(party, rate));
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&[0x55]).unwrap();
    }
    let salvage = vault.salvage(&folder).unwrap();
    assert!(salvage.failed.is_empty());
    assert_eq!(salvage.tracks.len(), 4);
    for ((party, rate, samples), track) in lengths.zip(&salvage.tracks) {
        assert_eq!((track.party(), track.rate()), (party, rate));
        assert!(track.salvaged());
        let mut expected = speech(samples);
        expected.resize(if rate == RateHz::Hz8000 { 801 } else { 1602 }, 0);
        check_sealed(&vault, track, &expected);
    }
    assert!(vault.stray_parts().unwrap().is_empty());
}

#[test]
fn a_part_without_a_header_becomes_a_track_without_sound_and_is_not_deleted() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    for (bytes, name) in [0, 20, 44, 45].into_iter().zip(all_four()) {
        std::fs::write(part(&vault, &folder, name), vec![0; bytes]).unwrap();
    }
    let salvage = vault.salvage(&folder).unwrap();
    assert_eq!(salvage.tracks.len(), 4);
    for track in &salvage.tracks {
        check_sealed(&vault, track, &[]);
    }
}

#[test]
fn a_salvage_that_was_itself_interrupted_is_finished_by_the_next() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    let mut sealed_before = vault.open_track(&folder, AGENT).unwrap();
    sealed_before.append(&speech(1000)).unwrap();
    sealed_before.seal().unwrap();
    let late = name(Party::Technician, RateHz::Hz16000);
    let mut track = vault.open_track(&folder, late).unwrap();
    track.append(&speech(10)).unwrap();
    drop(track);
    std::fs::write(vault.folder_path(&folder).join("technician_16000Hz.wav.part.copy"), "x")
        .unwrap();

    let first = vault.salvage(&folder).unwrap().tracks;
    assert_eq!(first.iter().map(SealedTrack::salvaged).collect::<Vec<_>>(), [false, true]);
    check_sealed(&vault, &first[0], &speech(1000));
    let mut padded = speech(10);
    padded.resize(2000, 0);
    check_sealed(&vault, &first[1], &padded);
    let second = vault.salvage(&folder).unwrap().tracks;
    assert!(second.iter().all(|track| !track.salvaged()));
    assert!(second.iter().map(SealedTrack::path).eq(first.iter().map(SealedTrack::path)));
    assert!(second.iter().map(SealedTrack::bytes).eq(first.iter().map(SealedTrack::bytes)));
    assert_eq!(std::fs::read_dir(vault.folder_path(&folder)).unwrap().count(), 2);
}

#[test]
fn parts_with_different_numbers_keep_their_own_lengths() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    for (part_no, samples) in [(1, 300), (2, 50)] {
        let part_no = PartNo::new(part_no).unwrap();
        let mut track = vault.open_track(&folder, TrackName { part_no, ..AGENT }).unwrap();
        track.append(&speech(samples)).unwrap();
    }
    let tracks = vault.salvage(&folder).unwrap().tracks;
    assert_eq!(tracks.iter().map(SealedTrack::samples).collect::<Vec<_>>(), [300, 50]);
}

#[test]
fn the_line_beside_a_microphone_is_sealed_like_any_other_and_as_long() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    for (copy, samples) in [(VoiceCopy::First, 300), (VoiceCopy::Line, 350)] {
        let mut track = vault.open_track(&folder, TrackName { copy, ..AGENT }).unwrap();
        track.append(&speech(samples)).unwrap();
    }
    assert_eq!(vault.next_part_no(&folder, Party::Agent).unwrap(), PartNo::FIRST.next());
    let tracks = vault.salvage(&folder).unwrap().tracks;
    let names: Vec<&str> = tracks.iter().map(|track| track.path().file_name()).collect();
    assert_eq!(names, ["agent_8000Hz.wav", "agent-line_8000Hz.wav"]);
    assert_eq!(tracks.iter().map(SealedTrack::samples).collect::<Vec<_>>(), [350, 350]);
}

#[test]
fn what_is_being_written_is_left_alone_here_and_in_another_process() {
    let (root, vault) = new_vault();
    let folder = new_folder(&vault);
    let mut track = vault.open_track(&folder, AGENT).unwrap();
    track.append(&speech(100)).unwrap();
    // A second vault knows nothing of the first's open tracks, as another process does not.
    let stranger = open_at(root.path());
    for vault in [&vault, &stranger] {
        let salvage = vault.salvage(&folder).unwrap();
        assert!(salvage.tracks.is_empty() && salvage.failed.is_empty());
    }
    assert!(vault.stray_parts().unwrap().is_empty());
    assert_eq!(stranger.stray_parts().unwrap(), std::slice::from_ref(&folder));
    check_sealed(&vault, &track.seal().unwrap(), &speech(100));
}

#[test]
fn a_track_that_is_there_already_survives_the_salvage_of_another_of_its_name() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    let mut track = vault.open_track(&folder, AGENT).unwrap();
    track.append(&[1, 2, 3]).unwrap();
    let sealed = track.seal().unwrap();
    std::fs::copy(vault.absolute(sealed.path()), part(&vault, &folder, AGENT)).unwrap();
    let tracks = vault.salvage(&folder).unwrap().tracks;
    assert_eq!(tracks.iter().map(|track| track.part_no().get()).collect::<Vec<_>>(), [1, 2]);
    for track in &tracks {
        check_sealed(&vault, track, &[1, 2, 3]);
    }
}

#[test]
fn one_part_that_cannot_be_saved_does_not_cost_the_others() {
    let (_root, vault) = new_vault();
    let folder = new_folder(&vault);
    let mut track = vault.open_track(&folder, AGENT).unwrap();
    track.append(&[1, 2, 3]).unwrap();
    drop(track);
    std::fs::create_dir(part(&vault, &folder, name(Party::Technician, RateHz::Hz8000))).unwrap();
    let salvage = vault.salvage(&folder).unwrap();
    assert_eq!(salvage.failed.len(), 1);
    assert_eq!(salvage.failed[0].path().file_name(), "technician_8000Hz.wav");
    assert!(salvage.tracks[0].samples() >= 3);
}

#[test]
fn strays_are_found_among_ten_thousand_calls() {
    let (root, vault) = new_vault();
    for number in 0..10_000 {
        let day = format!("recordings/2024/{:02}/{:02}", number % 12 + 1, number % 28 + 1);
        let call = root.path().join(day).join(sid(number).as_str());
        std::fs::create_dir_all(&call).unwrap();
        std::fs::write(call.join("agent_8000Hz.wav"), "").unwrap();
    }
    std::fs::create_dir(root.path().join("recordings/2024/01/lost+found")).unwrap();
    let stray = vault.folder(&sid(77), UnixMillis::new(0)).unwrap();
    drop(vault.open_track(&stray, AGENT).unwrap());
    let began = SystemClock.since_boot();
    let found = vault.stray_parts().unwrap();
    let took = SystemClock.since_boot().saturating_sub(began);
    println!("looking through 10,001 folders took {took:?}");
    assert_eq!(found, [stray]);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_wreck_is_salvaged_once_and_for_all(
        sound in prop::collection::vec((0_usize..3000, 0_u8..3), 4),
        tail in 0_usize..2,
    ) {
        let (_root, vault) = new_vault();
        let folder = new_folder(&vault);
        for ((samples, fate), name) in sound.iter().zip(all_four()) {
            if *fate == 0 { continue; }
            let mut track = vault.open_track(&folder, name).unwrap();
            track.append(&speech(*samples)).unwrap();
            if *fate == 1 {
                track.seal().unwrap();
            } else {
                drop(track);
                let path = part(&vault, &folder, name);
                let mut bytes = std::fs::read(&path).unwrap();
                bytes.extend(vec![1; tail]);
                std::fs::write(&path, bytes).unwrap();
            }
        }
        let first = vault.salvage(&folder).unwrap();
        prop_assert!(first.failed.is_empty());
        let fates: Vec<_> = all_four().into_iter().zip(&sound).filter(|(_, s)| s.1 != 0).collect();
        prop_assert_eq!(first.tracks.len(), fates.len());
        let length = |track: &SealedTrack| track.samples() * 16_000 / u64::from(track.rate().get());
        let salvaged: Vec<_> = first.tracks.iter().filter(|t| t.salvaged()).map(length).collect();
        prop_assert!(salvaged.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", salvaged);
        for track in &first.tracks {
            let (samples, fate) = fates.iter().find(|(n, _)| *n == track.name()).unwrap().1;
            prop_assert_eq!(track.salvaged(), *fate == 2);
            let mut expected = speech(*samples);
            expected.resize(usize::try_from(track.samples()).unwrap(), 0);
            prop_assert!(expected.len() >= *samples);
            check_sealed(&vault, track, &expected);
        }
        let second = vault.salvage(&folder).unwrap();
        prop_assert!(second.failed.is_empty() && second.tracks.iter().all(|t| !t.salvaged()));
        prop_assert!(second.tracks.iter().map(|t| (t.name(), t.bytes()))
            .eq(first.tracks.iter().map(|t| (t.name(), t.bytes()))));
        prop_assert!(vault.stray_parts().unwrap().is_empty());
    }
}
