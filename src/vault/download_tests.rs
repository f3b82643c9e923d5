use super::tests::*;
use super::*;
use crate::audio::wav_header;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{RateHz, RecordingSid};

const STEREO: Expect = Expect { duration_s: Some(3), channels: Some(2) };
const UNKNOWN: Expect = Expect { duration_s: None, channels: None };

fn recording() -> RecordingSid {
    format!("RE{:032x}", 7).parse().unwrap()
}

fn folder() -> Folder {
    Folder::new(&sid(1), UnixMillis::new(1_709_251_200_000)).unwrap()
}

/// Three seconds of two channels, as Twilio makes them.
fn copy() -> Vec<u8> {
    let data: Vec<u8> = speech(2 * 24_000).iter().flat_map(|s| s.to_le_bytes()).collect();
    let mut file = wav_header(RateHz::Hz8000, 2, data.len() as u64).to_vec();
    file.extend(data);
    file
}

fn fetched(vault: &Vault, bytes: &[u8], expect: Expect) -> Result<SealedDownload, DownloadError> {
    let mut download = vault.open_download(&folder(), &recording()).unwrap();
    download.restart().unwrap();
    for piece in bytes.chunks(10_000) {
        download.append(piece).unwrap();
    }
    download.finish(expect)
}

fn names_in(vault: &Vault) -> Vec<String> {
    let entries = std::fs::read_dir(vault.folder_path(&folder())).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_recording_that_came_in_two_attempts_is_the_one_twilio_has() {
    let (_root, vault) = new_vault();
    let bytes = copy();
    let mut download = vault.open_download(&folder(), &recording()).unwrap();
    assert!(download.is_empty());
    download.append(&bytes[..50_001]).unwrap();
    drop(download);
    assert_eq!(names_in(&vault), [format!("cloud_{}.wav.part", recording())]);

    let mut download = vault.open_download(&folder(), &recording()).unwrap();
    assert_eq!(download.len(), 50_001);
    assert_eq!(download.tail(1000).unwrap(), bytes[49_001..50_001]);
    assert_eq!(download.tail(60_000).unwrap(), bytes[..50_001]);
    download.append(&bytes[50_001..]).unwrap();
    let sealed = download.finish(STEREO).unwrap();

    assert_eq!(sealed.path.as_str(), format!("{}/cloud_{}.wav", folder(), recording()));
    assert_eq!((sealed.channels, sealed.rate_hz, sealed.frames), (2, 8000, 24_000));
    assert_eq!(sealed.size_bytes, bytes.len() as u64);
    assert_eq!(std::fs::read(vault.absolute(&sealed.path)).unwrap(), bytes);
    assert_eq!(sealed.sha256, vault.hash(&sealed.path).unwrap());
    assert_eq!(names_in(&vault), [sealed.path.file_name()]);
    assert_eq!(vault.found_download(&folder(), &recording()).unwrap(), Some(sealed));
    let again = vault.open_download(&folder(), &recording()).unwrap_err();
    assert!(matches!(again, Error::Exists { .. }), "{again}");
    assert_eq!(names_in(&vault).len(), 1);
}

#[test]
fn a_recording_is_not_there_before_it_is_fetched() {
    let (_root, vault) = new_vault();
    assert_eq!(vault.found_download(&folder(), &recording()).unwrap(), None, "nor its folder");
    let mut download = vault.open_download(&folder(), &recording()).unwrap();
    download.append(&copy()).unwrap();
    assert_eq!(vault.found_download(&folder(), &recording()).unwrap(), None);
}

#[test]
fn one_writer_at_a_time_has_a_download() {
    let (root, vault) = new_vault();
    let download = vault.open_download(&folder(), &recording()).unwrap();
    for vault in [&vault, &open_at(root.path())] {
        let second = vault.open_download(&folder(), &recording()).unwrap_err();
        assert!(matches!(second, Error::Busy { .. }), "{second}");
    }
    download.discard().unwrap();
    assert!(vault.open_download(&folder(), &recording()).unwrap().is_empty());
}

#[test]
fn whatever_length_a_header_claims_the_file_is_as_long_as_its_sound() {
    let (_root, vault) = new_vault();
    let whole = copy();
    for claimed in [0, u32::MAX, 1, 95_999, 96_001, 0x8000_0000] {
        for riff in [0, u32::MAX, 96_036] {
            let mut bytes = whole.clone();
            bytes[4..8].copy_from_slice(&u32::to_le_bytes(riff));
            bytes[40..44].copy_from_slice(&claimed.to_le_bytes());
            let sealed = fetched(&vault, &bytes, STEREO).unwrap();
            assert_eq!(sealed.frames, 24_000, "{claimed}");
            assert!(std::fs::read(vault.absolute(&sealed.path)).unwrap() == whole, "{claimed}");
            assert_eq!(sealed.sha256, vault.hash(&sealed.path).unwrap());
            vault.remove(&sealed.path).unwrap();
        }
    }
}

#[test]
fn a_piece_of_a_frame_at_the_end_is_cut_and_a_chunk_there_is_kept() {
    let (_root, vault) = new_vault();
    let whole = copy();
    let with_piece = [&whole[..], &[1, 2, 3]].concat();
    let sealed = fetched(&vault, &with_piece, STEREO).unwrap();
    assert!(std::fs::read(vault.absolute(&sealed.path)).unwrap() == whole);
    vault.remove(&sealed.path).unwrap();

    let mut with_chunk = [&whole[..], b"LIST\x04\0\0\0INFO"].concat();
    let riff_bytes = u32::try_from(with_chunk.len() - 8).unwrap();
    with_chunk[4..8].copy_from_slice(&riff_bytes.to_le_bytes());
    let sealed = fetched(&vault, &with_chunk, STEREO).unwrap();
    assert_eq!(sealed.frames, 24_000, "a chunk is no sound");
    assert!(std::fs::read(vault.absolute(&sealed.path)).unwrap() == with_chunk);
}

#[test]
fn what_ends_too_early_is_kept_to_go_on_from() {
    let (_root, vault) = new_vault();
    let bytes = copy();
    let long = Expect { duration_s: Some(60), channels: None };
    let cut = fetched(&vault, &bytes, long).unwrap_err();
    assert!(matches!(&cut, DownloadError::Cut { why: Unsound::Duration { .. }, .. }), "{cut}");
    let mut download = vault.open_download(&folder(), &recording()).unwrap();
    assert!(download.tail(usize::MAX).unwrap() == bytes, "not a byte of it was changed");

    download.restart().unwrap();
    download.append(&bytes[..90_000]).unwrap();
    let cut = download.finish(UNKNOWN).unwrap_err();
    assert!(matches!(&cut, DownloadError::Cut { why: Unsound::Unfinished, .. }), "{cut}");
    assert_eq!(vault.open_download(&folder(), &recording()).unwrap().len(), 90_000);
}

#[test]
fn what_is_not_the_recording_never_gets_its_name() {
    let (_root, vault) = new_vault();
    let whole = copy();
    let page = b"<?xml version='1.0'?><TwilioResponse><RestException/></TwilioResponse>";
    let mut six_channels = whole.clone();
    six_channels[22] = 6;
    let mut absurd_rate = whole.clone();
    absurd_rate[27] = 0xff;
    let no_data = [&whole[..36], b"LIST\x04\0\0\0INFO"].concat();
    let one = Expect { channels: Some(1), ..UNKNOWN };
    let much_shorter = Expect { duration_s: Some(0), ..UNKNOWN };
    let cases: [(&[u8], Expect); 10] = [
        (b"", UNKNOWN),
        (page, UNKNOWN),
        (b"RIFF\xff\xff\xff\xffAVI LIST", UNKNOWN),
        (&whole[..30], UNKNOWN),
        (&whole[..44], STEREO),
        (&six_channels, UNKNOWN),
        (&absurd_rate, UNKNOWN),
        (&no_data, UNKNOWN),
        (&whole, one),
        (&whole, much_shorter),
    ];
    for (number, (bytes, expect)) in cases.into_iter().enumerate() {
        let error = fetched(&vault, bytes, expect).unwrap_err();
        assert!(matches!(&error, DownloadError::NotSound { .. }), "{number}: {error}");
        assert_eq!(names_in(&vault), [""; 0], "{number}: nothing of it stays");
    }
}

#[test]
fn a_sealed_recording_that_was_spoilt_is_found_out_and_left_alone() {
    let (_root, vault) = new_vault();
    let sealed = fetched(&vault, &copy(), STEREO).unwrap();
    let path = vault.absolute(&sealed.path);
    File::options().write(true).open(&path).unwrap().set_len(50_000).unwrap();
    let error = vault.found_download(&folder(), &recording()).unwrap_err();
    assert!(matches!(&error, DownloadError::NotSound { .. }), "{error}");
    std::fs::write(&path, "an error page").unwrap();
    let error = vault.found_download(&folder(), &recording()).unwrap_err();
    assert!(matches!(&error, DownloadError::NotSound { .. }), "{error}");
    assert!(path.exists());
}

#[test]
fn a_download_cut_off_is_no_call_cut_off() {
    let (_root, vault) = new_vault();
    let mut download = vault.open_download(&folder(), &recording()).unwrap();
    download.append(&copy()[..1000]).unwrap();
    drop(download);
    assert!(vault.stray_parts().unwrap().is_empty());
    let salvage = vault.salvage(&folder()).unwrap();
    assert!(salvage.tracks.is_empty() && salvage.failed.is_empty());
    assert_eq!(vault.next_part_no(&folder(), Party::Agent).unwrap(), PartNo::FIRST);
    assert_eq!(names_in(&vault), [format!("cloud_{}.wav.part", recording())]);
}

/// Most of the file is a hole, so it costs no disk; hashing it would only cost time, for that
/// holds one block of 64 KiB however long a file is.
#[test]
fn the_lengths_of_a_recording_of_a_day_are_put_right_without_reading_it() {
    const DATA_BYTES: u64 = 24 * 3600 * 8000 * 4;
    let (_root, vault) = new_vault();
    let mut download = vault.open_download(&folder(), &recording()).unwrap();
    download.append(&wav_header(RateHz::Hz8000, 2, 0)).unwrap();
    drop(download);
    let part = vault.absolute(&folder().download(&recording())).with_extension("wav.part");
    let file = File::options().read(true).write(true).open(&part).unwrap();
    file.set_len(44 + DATA_BYTES).unwrap();
    assert_eq!(
        vault.open_download(&folder(), &recording()).unwrap().len(),
        44 + DATA_BYTES,
        "2.8 GB, more than 31 bits count"
    );
    let before = SystemClock.since_boot();
    let layout = riff::Layout::find(&file).unwrap().unwrap();
    assert_eq!(layout.frames(), DATA_BYTES / 4);
    assert!(layout.repair(&file).unwrap().is_some());
    let mut header = [0; 44];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut header, 0).unwrap();
    assert_eq!(header, wav_header(RateHz::Hz8000, 2, DATA_BYTES));
    let took = SystemClock.since_boot().saturating_sub(before);
    assert!(took < Duration::from_secs(1), "{took:?}");

    file.set_len(u64::from(u32::MAX) + 100).unwrap();
    let too_long = riff::Layout::find(&file).unwrap().unwrap();
    assert!(too_long.repair(&file).unwrap().is_none(), "no WAV can say so");
}
