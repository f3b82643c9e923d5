//! A box that is lost, and one made again from its backup: the drill, with the real program.

use std::path::Path;

use fieldtape::simulate::Sound;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{Home, eventually, noise};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_box_made_again_from_its_backup_has_every_call() {
    let home = Home::new();
    let stick = home.path().join("stick");
    let appliance = home.start().await;
    let report = appliance.play(Sound::stereo(noise(1, 400), noise(2, 400)), |_| {}).await;
    let first = report.call_sid;
    appliance.await_recorded(&first).await;

    // A second call goes on while everything is saved.
    let options = appliance.call_options(|_| {});
    let second = options.call_sid.clone();
    let sound = Sound::stereo(noise(3, 6_000), noise(4, 6_000));
    let mut playing = JoinSet::new();
    playing.spawn(fieldtape::simulate::run(options, sound, CancellationToken::new()));
    eventually("the second call is heard for two seconds", async || {
        let sizes = home.files_under_way().into_iter().map(|path| std::fs::metadata(path).unwrap());
        sizes.map(|file| file.len()).max().filter(|bytes| *bytes > 2 * 2 * 16_000).map(drop)
    })
    .await;
    let saved = home.run(&["backup", text(&stick), "--json"]).await.json();
    assert_eq!(saved["damaged"].as_array().unwrap().len(), 0, "{saved}");
    let refused = home.run(&["restore", text(&stick)]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("fieldtape is running"), "{refused:?}");
    playing.join_next().await.unwrap().unwrap().unwrap();
    appliance.stop().await;

    assert_eq!(home.run(&["restore", text(&stick), "--drill"]).await.code, Some(0));
    let refused = home.run(&["restore", text(&stick)]).await;
    assert!(refused.err.contains("is there already"), "{refused:?}");
    std::fs::rename(home.data_dir(), home.path().join("lost")).unwrap();
    let restored = home.run(&["restore", text(&stick)]).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert_eq!(home.run(&["verify", "--json"]).await.json()["sound"], true);

    let appliance = home.start().await;
    appliance.await_recorded(&first).await;
    eventually("what was heard of the second call is taken in", async || {
        let call = appliance.ledger().call(&second)?;
        (call.end_reason.as_deref() == Some("interrupted") && call.recording_status == "completed")
            .then_some(())
    })
    .await;
    let kept = appliance.ledger().tracks(&second);
    let seconds = kept.iter().map(|track| track.samples / u64::from(track.rate_hz)).max();
    assert!(seconds >= Some(1), "{kept:?}");
    appliance.ledger().check_against(&home.data_dir());
    appliance.stop().await;

    let track = home.ledger().tracks(&first).remove(0).path;
    std::fs::remove_file(home.data_dir().join(&track)).unwrap();
    let found = home.run(&["fsck"]).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    let line = format!("{} of {first} is gone; look for it in a backup", track.display());
    assert!(found.err.contains(&line), "{found:?}");
    std::fs::copy(stick.join(&track), home.data_dir().join(&track)).unwrap();
    assert_eq!(home.run(&["fsck", "--repair"]).await.code, Some(0));
}
