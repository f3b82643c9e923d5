//! Sound cards by way of ALSA.

use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait as _, StreamTrait as _};
use cpal::{
    BufferSize, Data, Device, ErrorKind, FromSample, Host, HostId, SampleFormat, SizedSample,
    StreamConfig, SupportedBufferSize, SupportedStreamConfigRange,
};

use super::opener::{Format, Listening, OpenError, Opener, Target};
use super::ring::Capture;
use crate::audio::{RATE_HZ_MAX, RATE_HZ_MIN};

/// The rates to ask for, the best first: 48 kHz is every card's own, and what is above it nobody
/// says.
const RATES_HZ: [u32; 9] = [48_000, 44_100, 32_000, 96_000, 192_000, 24_000, 22_050, 16_000, 8_000];

/// What a sample may be, the best first: 16 bits are more than a voice has.
const SAMPLES: [SampleFormat; 8] = [
    SampleFormat::I16,
    SampleFormat::I24,
    SampleFormat::I32,
    SampleFormat::F32,
    SampleFormat::U16,
    SampleFormat::F64,
    SampleFormat::U8,
    SampleFormat::I8,
];

/// Channels that are mixed to one; a card with more than that is a mixing desk.
const CHANNELS_MAX: u16 = 8;

/// So many blocks a second. ALSA keeps two of them: sound is lost when a block waits for 50 ms.
const BLOCKS_PER_SECOND: u32 = 20;

/// How long the card's thread waits for a block before it asks how the card is.
const POLL: Duration = Duration::from_millis(500);

/// ALSA.
pub(super) struct Alsa;

impl Opener for Alsa {
    fn look(&mut self, target: &Target) -> Result<Format, OpenError> {
        Ok(found(target)?.format())
    }

    fn open(
        &mut self,
        target: &Target,
        format: Format,
        capture: Capture,
    ) -> Result<Box<dyn Listening>, OpenError> {
        let found = found(target)?;
        if found.format() != format {
            return Err(OpenError::Unsupported { why: "it changes how it records".to_owned() });
        }
        match found.sample {
            SampleFormat::I16 => start::<i16>(&found, capture),
            SampleFormat::I24 => start::<cpal::I24>(&found, capture),
            SampleFormat::I32 => start::<i32>(&found, capture),
            SampleFormat::F32 => start::<f32>(&found, capture),
            SampleFormat::U16 => start::<u16>(&found, capture),
            SampleFormat::F64 => start::<f64>(&found, capture),
            SampleFormat::U8 => start::<u8>(&found, capture),
            SampleFormat::I8 => start::<i8>(&found, capture),
            other => Err(OpenError::Unsupported { why: format!("samples as {other}") }),
        }
    }

    fn pcms(&mut self) -> Vec<String> {
        let Ok(host) = host() else { return Vec::new() };
        let Ok(devices) = host.devices() else { return Vec::new() };
        let records = devices.filter(DeviceTrait::supports_input);
        records.filter_map(|device| device.id().ok()).map(|id| id.id().to_owned()).collect()
    }
}

/// A device, and how it is asked for its sound.
struct Found {
    device: Device,
    rate_hz: u32,
    channels: u16,
    sample: SampleFormat,
    buffer: BufferSize,
}

impl Found {
    fn format(&self) -> Format {
        let Self { rate_hz, channels, sample, .. } = *self;
        Format { rate_hz, channels, sample: word(sample) }
    }
}

impl Listening for cpal::Stream {}

/// ALSA, with its configuration read anew: cards come and go.
fn host() -> Result<Host, OpenError> {
    cpal::host_from_id(HostId::Alsa).map_err(|error| refused(&error))
}

fn found(target: &Target) -> Result<Found, OpenError> {
    let host = host()?;
    let names = match target {
        // As it is first: we convert better than ALSA does. But some record only 24 bits in 3 bytes,
        // which cpal does not know.
        Target::Card { index, device } => {
            vec![
                format!("hw:CARD={index},DEV={device}"),
                format!("plughw:CARD={index},DEV={device}"),
            ]
        }
        Target::Pcm(name) => vec![name.clone()],
    };
    let mut result = Err(OpenError::Gone);
    for name in names {
        let is_it = |device: &Device| device.id().is_ok_and(|id| id.id() == name);
        let Some(device) = host.devices().map_err(|error| refused(&error))?.find(is_it) else {
            continue;
        };
        result = choose(device);
        if !matches!(result, Err(OpenError::Unsupported { .. })) {
            break;
        }
    }
    result
}

/// Finds the best way in which a device records.
fn choose(device: Device) -> Result<Found, OpenError> {
    let ways: Vec<_> = device.supported_input_configs().map_err(|error| refused(&error))?.collect();
    let best = ways.iter().filter_map(|way| Some((rank(way)?, way))).min_by_key(|(rank, _)| *rank);
    let Some((_, way)) = best else {
        return Err(OpenError::Unsupported { why: told(&ways) });
    };
    let rate_hz = rate(way).unwrap_or(RATE_HZ_MIN);
    let frames = rate_hz / BLOCKS_PER_SECOND;
    let buffer = match way.buffer_size() {
        SupportedBufferSize::Range { min, max } if (*min..=*max).contains(&frames) => {
            BufferSize::Fixed(frames)
        }
        _ => BufferSize::Default,
    };
    let (channels, sample) = (way.channels(), way.sample_format());
    Ok(Found { device, rate_hz, channels, sample, buffer })
}

/// Ranks a way to record: by rate, then by how few channels, then by sample.
fn rank(way: &SupportedStreamConfigRange) -> Option<(usize, u16, usize)> {
    let rate_hz = rate(way)?;
    let by_rate = RATES_HZ.iter().position(|known| *known == rate_hz).unwrap_or(RATES_HZ.len());
    let by_sample = SAMPLES.iter().position(|known| *known == way.sample_format())?;
    (way.channels() <= CHANNELS_MAX).then_some((by_rate, way.channels(), by_sample))
}

fn rate(way: &SupportedStreamConfigRange) -> Option<u32> {
    let within = way.min_sample_rate()..=way.max_sample_rate();
    let known = RATES_HZ.into_iter().find(|rate_hz| within.contains(rate_hz));
    let lowest = way.min_sample_rate().max(RATE_HZ_MIN);
    known.or_else(|| (lowest <= way.max_sample_rate().min(RATE_HZ_MAX)).then_some(lowest))
}

fn told(ways: &[SupportedStreamConfigRange]) -> String {
    let way = |way: &SupportedStreamConfigRange| {
        let (min, max) = (way.min_sample_rate(), way.max_sample_rate());
        format!("{min} to {max} Hz, {} channels, {}", way.channels(), way.sample_format())
    };
    ways.first().map_or_else(|| "it records in no known way".to_owned(), way)
}

fn start<T>(found: &Found, mut capture: Capture) -> Result<Box<dyn Listening>, OpenError>
where
    T: SizedSample + Copy,
    f32: FromSample<T>,
{
    let trouble = capture.trouble();
    let config = StreamConfig {
        channels: found.channels,
        sample_rate: found.rate_hz,
        buffer_size: found.buffer,
    };
    let heard = move |data: &Data, _: &cpal::InputCallbackInfo| {
        if let Some(samples) = data.as_slice::<T>() {
            capture.heard(samples, f32::from_sample_);
        }
    };
    let failed = move |error: cpal::Error| match error.kind() {
        ErrorKind::Xrun => trouble.overrun(),
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => trouble.over(refused(&error)),
    };
    let sample = found.sample;
    let stream = found.device.build_input_stream_raw(config, sample, heard, failed, Some(POLL));
    let stream = stream.map_err(|error| refused(&error))?;
    stream.play().map_err(|error| refused(&error))?;
    Ok(Box::new(stream))
}

fn refused(error: &cpal::Error) -> OpenError {
    match error.kind() {
        ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated => OpenError::Gone,
        ErrorKind::DeviceBusy => OpenError::Busy,
        ErrorKind::PermissionDenied => OpenError::Denied,
        ErrorKind::UnsupportedConfig | ErrorKind::UnsupportedOperation => {
            OpenError::Unsupported { why: error.to_string() }
        }
        _ => OpenError::Failed { why: error.to_string() },
    }
}

const fn word(sample: SampleFormat) -> &'static str {
    match sample {
        SampleFormat::I16 | SampleFormat::U16 => "16 bits",
        SampleFormat::I24 => "24 bits",
        SampleFormat::I32 => "32 bits",
        SampleFormat::I8 | SampleFormat::U8 => "8 bits",
        _ => "floats",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(rates: (u32, u32), channels: u16, sample: SampleFormat) -> SupportedStreamConfigRange {
        let buffer = SupportedBufferSize::Unknown;
        SupportedStreamConfigRange::new(channels, rates.0, rates.1, buffer, sample)
    }

    fn best(ways: &[SupportedStreamConfigRange]) -> Option<(u32, u16, SampleFormat)> {
        let ranked = ways.iter().filter_map(|way| Some((rank(way)?, way)));
        let (_, way) = ranked.min_by_key(|(rank, _)| *rank)?;
        Some((rate(way)?, way.channels(), way.sample_format()))
    }

    #[test]
    fn a_device_is_asked_for_48_khz_few_channels_and_16_bits_as_far_as_it_has_them() {
        use SampleFormat::{F32, I16, I32, U8};
        let anything: Vec<_> = (1..=64)
            .flat_map(|n| [way((4000, u32::MAX), n, I32), way((4000, u32::MAX), n, I16)])
            .collect();
        assert_eq!(best(&anything), Some((48_000, 1, I16)));
        let headset = [way((44_100, 44_100), 1, I16), way((48_000, 48_000), 1, I16)];
        assert_eq!(best(&headset), Some((48_000, 1, I16)));
        let old = [
            way((8000, 8000), 1, I16),
            way((11_025, 11_025), 1, I16),
            way((16_000, 16_000), 1, U8),
        ];
        assert_eq!(best(&old), Some((16_000, 1, U8)), "the rate counts for more");
        let array = [way((16_000, 192_000), 8, I32), way((16_000, 192_000), 6, I32)];
        assert_eq!(best(&array), Some((48_000, 6, I32)));
        assert_eq!(best(&[way((192_000, 384_000), 2, F32)]), Some((192_000, 2, F32)));
        assert_eq!(best(&[way((11_025, 11_025), 2, F32)]), Some((11_025, 2, F32)));
    }

    #[test]
    fn what_nobody_can_use_is_refused() {
        for bad in [
            way((4000, 7999), 1, SampleFormat::I16),
            way((384_000, 768_000), 1, SampleFormat::I16),
            way((48_000, 48_000), 9, SampleFormat::I16),
            way((48_000, 48_000), 1, SampleFormat::DsdU8),
        ] {
            assert_eq!(best(&[bad]), None, "{bad:?}");
        }
    }
}
