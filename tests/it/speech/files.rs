//! `transcribe_file`: any WAV, in this process.

use super::*;

#[test]
fn every_kind_of_wav_is_transcribed_or_refused_by_name() {
    let heard = transcribe_file(file_job(asset("jfk.wav")), |_| {}).unwrap();
    let said = "And so my fellow Americans, ask not what your country can do for you, ask what \
                you can do for your country.";
    let rate = wer(said, &all(&heard.said));
    println!("jfk.wav: WER {:.1} %", rate.percent());
    assert!(rate.percent() <= 10.0, "{heard:?}");
    assert!(heard.said.iter().all(|said| said.speaker == "agent"));

    let stereo = transcribe_file(file_job(asset("service-call.wav")), |_| {}).unwrap();
    let turns = turns();
    let starts = |speaker: &str| {
        let own = stereo.said.iter().filter(|said| said.speaker == speaker);
        own.map(|said| said.segment.start_ms).collect()
    };
    assert!(percentile(&start_errors(&turns, starts), 90) <= 0.5, "{stereo:#?}");
    let said: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
    assert!(wer(&said.join(" "), &all(&stereo.said)).percent() <= 12.0, "in the order spoken");
}

/// Writes a WAV of `channels` equal channels.
fn wav(sound: &[f32], tag: u16, bits: u16, rate_hz: u32, channels: u16) -> File {
    let mut data = Vec::new();
    // 44.1 kHz and others: each sample held, which speech survives.
    let frames = sound.len() as u64 * u64::from(rate_hz) / 16_000;
    for frame in 0..frames {
        let sample = sound[usize::try_from(frame * 16_000 / u64::from(rate_hz)).unwrap()];
        for _ in 0..channels {
            match (tag, bits) {
                (1, 8) => data.push((sample * 127.0 + 128.0) as u8),
                (1, 24) => data.extend(&((sample * 8_388_607.0) as i32).to_le_bytes()[..3]),
                (1, _) => data.extend(pcm16(sample).to_le_bytes()),
                _ => data.extend(sample.to_le_bytes()),
            }
        }
    }
    let block = channels * bits / 8;
    let length = u32::try_from(data.len()).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"RIFF").unwrap();
    file.write_all(&(length + 36).to_le_bytes()).unwrap();
    file.write_all(b"WAVEfmt \x10\0\0\0").unwrap();
    file.write_all(&tag.to_le_bytes()).unwrap();
    file.write_all(&channels.to_le_bytes()).unwrap();
    file.write_all(&rate_hz.to_le_bytes()).unwrap();
    file.write_all(&(rate_hz * u32::from(block)).to_le_bytes()).unwrap();
    file.write_all(&block.to_le_bytes()).unwrap();
    file.write_all(&bits.to_le_bytes()).unwrap();
    file.write_all(b"data").unwrap();
    file.write_all(&length.to_le_bytes()).unwrap();
    file.write_all(&data).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn other_codings_and_rates_are_heard_as_well() {
    let sound = channel("librivox-0880.wav", 0);
    for (tag, bits, rate_hz) in [(1, 8, 16_000), (1, 24, 44_100), (3, 32, 48_000), (1, 16, 8000)] {
        let job = file_job(wav(&sound, tag, bits, rate_hz, 1));
        let heard = transcribe_file(job, |_| {}).unwrap();
        let rate = wer("he was not an ill disposed young man", &all(&heard.said));
        assert!(rate.percent() <= 30.0, "{bits} bits {rate_hz} Hz: {heard:?}");
    }
    let refused = transcribe_file(file_job(wav(&sound, 1, 16, 16_000, 3)), |_| {}).unwrap_err();
    assert!(matches!(refused, FileError::Channels { channels: 3 }), "{refused}");
    let mut page = tempfile::tempfile().unwrap();
    page.write_all(b"<html>not found, and quite long enough to be a header</html>").unwrap();
    page.rewind().unwrap();
    let refused = transcribe_file(file_job(page), |_| {}).unwrap_err();
    assert!(refused.to_string().contains("not a WAV"), "{refused}");
    let refused = transcriber("large").err().unwrap();
    assert!(refused.to_string().contains("ggml-large.bin"), "{refused}");
}
