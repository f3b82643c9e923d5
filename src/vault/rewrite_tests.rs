use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::super::tests::*;
use super::super::{CloudTrackName, PartNo};
use super::*;
use crate::domain::Party;

fn sealed_track(vault: &Vault) -> (Folder, RelPath) {
    let folder = new_folder(vault);
    let mut track = vault.open_track(&folder, AGENT).unwrap();
    track.append(&speech(1000)).unwrap();
    let path = track.seal().unwrap().path().clone();
    (folder, path)
}

fn samples_of(path: &Path) -> Vec<i16> {
    hound::WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect()
}

#[test]
fn a_better_file_takes_the_place_and_the_old_one_is_never_written_to() {
    let (_root, vault) = new_vault();
    let (folder, path) = sealed_track(&vault);
    let place = vault.absolute(&path);
    let old = File::open(&place).unwrap();
    let old_bytes = std::fs::read(&place).unwrap();

    let mut rewrite = vault.rewrite(&path, RateHz::Hz8000).unwrap();
    for piece in speech(3000).chunks(700) {
        rewrite.append(piece).unwrap();
    }
    assert_eq!(std::fs::read(&place).unwrap(), old_bytes, "the old one until the last moment");
    let rewritten = rewrite.seal().unwrap();

    assert_eq!((rewritten.path(), rewritten.samples()), (&path, 3000));
    assert_eq!(rewritten.bytes(), std::fs::metadata(&place).unwrap().len());
    assert_eq!(samples_of(&place), speech(3000));
    assert_eq!(std::fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    let mut kept = Vec::new();
    std::io::Read::read_to_end(&mut &old, &mut kept).unwrap();
    assert_eq!(kept, old_bytes, "who was listening hears it to the end");
    assert_ne!(old.metadata().unwrap().ino(), std::fs::metadata(&place).unwrap().ino());
    assert_eq!(std::fs::read_dir(vault.folder_path(&folder)).unwrap().count(), 1);
}

#[test]
fn a_rewrite_that_is_dropped_leaves_everything_as_it_was() {
    let (_root, vault) = new_vault();
    let (folder, path) = sealed_track(&vault);
    let mut rewrite = vault.rewrite(&path, RateHz::Hz8000).unwrap();
    rewrite.append(&speech(10)).unwrap();
    drop(rewrite);
    assert_eq!(samples_of(&vault.absolute(&path)), speech(1000));
    assert_eq!(std::fs::read_dir(vault.folder_path(&folder)).unwrap().count(), 1);
}

#[test]
fn what_an_interrupted_rewrite_left_is_no_call_cut_off_and_goes_in_time() {
    let (_root, vault) = new_vault();
    let (folder, path) = sealed_track(&vault);
    let split = folder.cloud_track(CloudTrackName {
        recording_no: PartNo::FIRST,
        party: Party::Technician,
        rate: RateHz::Hz16000,
    });
    for path in [&path, &split] {
        std::fs::write(new_path(&vault.absolute(path)), "half a file").unwrap();
    }
    assert!(vault.stray_parts().unwrap().is_empty());
    assert_eq!(vault.salvage(&folder).unwrap().tracks.len(), 1);

    // One of them is begun anew and not swept while it is written; the other is.
    let mut rewrite = vault.rewrite(&split, RateHz::Hz16000).unwrap();
    assert!(matches!(vault.rewrite(&split, RateHz::Hz16000), Err(Error::Busy { .. })));
    assert_eq!(vault.sweep_rewrites(&folder).unwrap(), 1);
    rewrite.append(&speech(20)).unwrap();
    let rewritten = rewrite.seal().unwrap();
    assert_eq!(samples_of(&vault.absolute(rewritten.path())), speech(20));
    assert_eq!(vault.sweep_rewrites(&folder).unwrap(), 0);
}

#[test]
fn channels_of_twilios_copy_are_not_taken_for_live_sound() {
    let (_root, vault) = new_vault();
    let (folder, _) = sealed_track(&vault);
    for recording_no in [PartNo::FIRST, PartNo::FIRST.next()] {
        let name = CloudTrackName { recording_no, party: Party::Agent, rate: RateHz::Hz8000 };
        let mut rewrite = vault.rewrite(&folder.cloud_track(name), name.rate).unwrap();
        rewrite.append(&speech(5)).unwrap();
        rewrite.seal().unwrap();
    }
    assert_eq!(vault.salvage(&folder).unwrap().tracks.len(), 1);
    assert_eq!(vault.next_part_no(&folder, Party::Agent).unwrap(), PartNo::FIRST.next());
}
