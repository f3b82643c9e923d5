//! What is on disk after a call, sample by sample.

use fieldtape::domain::{CallSid, Origin, StreamTrack};
use fieldtape::simulate::{Faults, Report, Sound};

use crate::support::{Appliance, Gap, Home, decoded, noise, read_wav};

/// Two seconds of sound for each party.
fn sound() -> Sound {
    Sound::stereo(noise(1, 2000), noise(2, 2000))
}

/// Reads a party's only file of a rate.
fn heard(home: &Home, appliance: &Appliance, call: &CallSid, name: (&str, u32)) -> Vec<i16> {
    let (party, rate_hz) = name;
    let tracks = appliance.ledger().tracks(call);
    let mut tracks = tracks.iter().filter(|t| t.party == party && t.rate_hz == rate_hz);
    let (track, None) = (tracks.next().unwrap(), tracks.next()) else {
        panic!("more than one part of {party} at {rate_hz} Hz");
    };
    assert!(track.path.ends_with(format!("{party}_{rate_hz}Hz.wav")), "{track:?}");
    read_wav(&home.data_dir().join(&track.path), rate_hz)
}

#[tokio::test]
async fn a_call_without_loss_is_on_disk_bit_by_bit() {
    let home = Home::new();
    let appliance = home.start().await;
    let sound = sound();
    let report = appliance.play(sound.clone(), |options| options.speed = 4.0).await;
    assert_eq!(report.troubles, []);
    appliance.await_recorded(&report.call_sid).await;

    use fieldtape::domain::Party::{Agent, Technician};
    for party in [Agent, Technician] {
        let narrow = heard(&home, &appliance, &report.call_sid, (party.as_str(), 8000));
        assert!(narrow == decoded(sound.of(party)), "{party}");
        let wide = heard(&home, &appliance, &report.call_sid, (party.as_str(), 16000));
        assert_eq!(wide.len(), 2 * narrow.len());
    }
    assert_eq!(appliance.ledger().gaps(&report.call_sid), []);
    appliance.stop().await;
}
