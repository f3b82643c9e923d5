//! What folders and files are called, and which texts are such names.

use std::fmt;
use std::str::FromStr;

use crate::domain::{CallSid, Party, RateHz, RecordingSid, UnixMillis};

/// The folder of the data folder that holds all recordings.
pub(super) const RECORDINGS: &str = "recordings";

/// What a file's name ends with.
const SEALED_SUFFIX: &str = ".wav";

/// What a file's name ends with while it is being written, after its final name.
pub(super) const PART_SUFFIX: &str = ".part";

/// What a file's name ends with while it is being written to take the place of another, after its
/// final name. Unlike a part it holds nothing that is not elsewhere too.
pub(super) const NEW_SUFFIX: &str = ".new";

/// The longest file name: the longest of ours is `cloud_RE….wav.part` with 49.
const FILE_NAME_LEN_MAX: usize = 80;

/// A text that names no recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the path of a recording")]
pub struct BadPath {
    text: String,
}

impl BadPath {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }
}

/// The folder of one call, relative to the data folder: `recordings/YYYY/MM/DD/<CallSid>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Folder {
    text: String,
    call_sid: CallSid,
}

impl Folder {
    /// Works out the folder of a call from the UTC date of its start.
    pub fn new(call_sid: &CallSid, started: UnixMillis) -> Result<Self, BadPath> {
        let no_date = |_| BadPath::new(&format!("{} ms of {call_sid}", started.get()));
        let moment = jiff::Timestamp::from_millisecond(started.get()).map_err(no_date)?;
        let date = jiff::tz::TimeZone::UTC.to_datetime(moment).date();
        let (year, month, day) = (date.year(), date.month(), date.day());
        format!("{RECORDINGS}/{year:04}/{month:02}/{day:02}/{call_sid}").parse()
    }

    /// Returns the path as the ledger keeps it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whose folder it is.
    pub fn call_sid(&self) -> &CallSid {
        &self.call_sid
    }

    /// Returns the path of a file in this folder.
    pub fn file(&self, name: &str) -> Result<RelPath, BadPath> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let ours = name.len() <= FILE_NAME_LEN_MAX
            && !name.starts_with('.')
            && name.bytes().all(plain)
            && name.strip_suffix(PART_SUFFIX).unwrap_or(name).ends_with(SEALED_SUFFIX);
        let text = format!("{}/{name}", self.text);
        if ours { Ok(RelPath { text, folder: self.clone() }) } else { Err(BadPath { text }) }
    }

    /// Returns the path of Twilio's copy in this folder, once it is whole.
    pub fn download(&self, recording_sid: &RecordingSid) -> RelPath {
        self.plain(&format!("cloud_{recording_sid}{SEALED_SUFFIX}"))
    }

    /// Returns the path of one party's channel of Twilio's copy in this folder.
    pub fn cloud_track(&self, name: CloudTrackName) -> RelPath {
        self.plain(&name.file_name())
    }

    /// Returns the path of a sealed track in this folder.
    pub(super) fn track(&self, name: TrackName) -> RelPath {
        self.plain(&name.file_name())
    }

    /// Returns the path of a file whose name is known to be one of ours.
    fn plain(&self, name: &str) -> RelPath {
        RelPath { text: format!("{}/{name}", self.text), folder: self.clone() }
    }
}

impl FromStr for Folder {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let digits = |text: &str, len| {
            let all = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
            all.then(|| text.parse::<u16>().ok()).flatten()
        };
        let parse = || {
            let mut steps = text.split('/');
            let recordings = steps.next()? == RECORDINGS;
            digits(steps.next()?, 4)?;
            let month = digits(steps.next()?, 2)?;
            let day = digits(steps.next()?, 2)?;
            let call_sid: CallSid = steps.next()?.parse().ok()?;
            let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
            (recordings && is_date && steps.next().is_none()).then_some(call_sid)
        };
        let call_sid = parse().ok_or_else(|| BadPath::new(text))?;
        Ok(Self { text: text.to_owned(), call_sid })
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// A sound file, relative to the data folder. It cannot lead outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelPath {
    text: String,
    folder: Folder,
}

impl RelPath {
    /// Returns the path as the ledger keeps it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the folder the file is in.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Returns the last step of the path.
    pub fn file_name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or(&self.text)
    }
}

impl FromStr for RelPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let (folder, name) = text.rsplit_once('/').ok_or_else(|| BadPath::new(text))?;
        folder.parse::<Folder>()?.file(name)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// The how-manieth file of a track it is: a new one begins when a stream comes back late or after
/// a write error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartNo(u32);

impl PartNo {
    /// The first.
    pub const FIRST: Self = Self(1);

    /// Takes a number from the ledger; there is no part 0.
    pub const fn new(part_no: u32) -> Option<Self> {
        if part_no == 0 { None } else { Some(Self(part_no)) }
    }

    /// Returns the number, 1 at least.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Returns the one after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Which of two live copies of a party's voice a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VoiceCopy {
    /// The one that speaks for the party: mostly the only one.
    First,
    /// What came over Twilio's line beside a better source of the same voice.
    Line,
}

/// What is in the name of a file that came over Twilio's line beside a better one.
const LINE: &str = "line";

/// Which track of a call a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackName {
    /// Which file of the track.
    pub part_no: PartNo,
    /// Who speaks.
    pub party: Party,
    /// Which copy of what they say.
    pub copy: VoiceCopy,
    /// How many samples a second.
    pub rate: RateHz,
}

impl TrackName {
    /// Returns the file's name once it is sealed.
    pub fn file_name(self) -> String {
        let Self { part_no, party, copy, rate } = self;
        let line = match copy {
            VoiceCopy::First => String::new(),
            VoiceCopy::Line => format!("-{LINE}"),
        };
        match part_no {
            PartNo::FIRST => format!("{party}{line}_{}Hz.wav", rate.get()),
            PartNo(later) => format!("{party}{line}-{later}_{}Hz.wav", rate.get()),
        }
    }

    /// Understands a file's name once it is sealed; other files have other names.
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        let (who, rate) = name.strip_suffix("Hz.wav")?.split_once('_')?;
        let mut words = who.split('-').peekable();
        let party = words.next()?.parse().ok()?;
        let copy = match words.next_if_eq(&LINE) {
            Some(_) => VoiceCopy::Line,
            None => VoiceCopy::First,
        };
        let part_no = PartNo::new(words.next().unwrap_or("1").parse().ok()?)?;
        let rate = RateHz::from_hz(rate.parse().ok()?)?;
        let parsed = Self { part_no, party, copy, rate };
        // `technician-1`, `-02` or `+8000` would be a second name of the same track.
        (parsed.file_name() == name).then_some(parsed)
    }
}

/// Which channel of Twilio's copy a file holds. No name of these is one of a [`TrackName`], so a
/// salvage never takes them for live sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloudTrackName {
    /// The how-manieth recording of the call it is from.
    pub recording_no: PartNo,
    /// Who speaks.
    pub party: Party,
    /// How many samples a second.
    pub rate: RateHz,
}

impl CloudTrackName {
    /// Returns the file's name.
    pub fn file_name(self) -> String {
        let Self { recording_no, party, rate } = self;
        match recording_no {
            PartNo::FIRST => format!("{party}-cloud_{}Hz.wav", rate.get()),
            PartNo(later) => format!("{party}-cloud-{later}_{}Hz.wav", rate.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid() -> CallSid {
        format!("CA{}", "0a".repeat(16)).parse().unwrap()
    }

    #[test]
    fn a_call_lies_under_the_utc_date_of_its_start() {
        let folder = Folder::new(&sid(), UnixMillis::new(1_709_251_199_999)).unwrap();
        assert_eq!(folder.as_str(), format!("recordings/2024/02/29/{}", sid()));
        let folder = Folder::new(&sid(), UnixMillis::new(1_709_251_200_000)).unwrap();
        assert_eq!(folder.as_str(), format!("recordings/2024/03/01/{}", sid()));
        assert_eq!(folder.as_str().parse(), Ok(folder.clone()));
        assert_eq!(folder.call_sid(), &sid());
        for never in [i64::MIN, -99_999_999_999_999, i64::MAX] {
            assert!(Folder::new(&sid(), UnixMillis::new(never)).is_err(), "{never}");
        }
    }

    #[test]
    fn no_text_leads_out_of_the_recordings() {
        let sid = sid();
        let good = format!("recordings/2024/02/29/{sid}/agent_8000Hz.wav");
        assert_eq!(good.parse::<RelPath>().unwrap().as_str(), good);
        assert_eq!(good.parse::<RelPath>().unwrap().file_name(), "agent_8000Hz.wav");
        for bad in [
            String::new(),
            "/".to_owned(),
            "agent_8000Hz.wav".to_owned(),
            format!("/recordings/2024/02/29/{sid}/a.wav"),
            format!("recordings/2024/02/29/{sid}/../a.wav"),
            format!("recordings/2024/02/29/../{sid}/a.wav"),
            format!("recordings/../02/29/{sid}/a.wav"),
            format!("recordings/2024/13/29/{sid}/a.wav"),
            format!("recordings/2024/2/29/{sid}/a.wav"),
            format!("recordings/+024/02/29/{sid}/a.wav"),
            format!("recordings/2024/02/29/{sid}//a.wav"),
            format!("recordings/2024/02/29/{sid}/..wav"),
            format!("recordings/2024/02/29/{sid}/.wav.part"),
            format!("recordings/2024/02/29/{sid}/a.wav\0"),
            format!("recordings/2024/02/29/{sid}/a.db"),
            format!("recordings/2024/02/29/{sid}/a.wav.part.part"),
            format!("recordings/2024/02/29/{sid}/{}.wav", "a".repeat(300)),
            format!("fieldtape.db/2024/02/29/{sid}/a.wav"),
            "recordings/2024/02/29/CA12/a.wav".to_owned(),
        ] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_track_has_one_name_and_a_name_one_track() {
        let second = TrackName {
            part_no: PartNo::FIRST.next(),
            party: Party::Technician,
            copy: VoiceCopy::First,
            rate: RateHz::Hz8000,
        };
        let first = TrackName { part_no: PartNo::FIRST, party: Party::Agent, ..second };
        let line = TrackName { copy: VoiceCopy::Line, ..first };
        let later_line = TrackName { copy: VoiceCopy::Line, party: Party::Agent, ..second };
        assert_eq!(second.file_name(), "technician-2_8000Hz.wav");
        assert_eq!(first.file_name(), "agent_8000Hz.wav");
        assert_eq!(line.file_name(), "agent-line_8000Hz.wav");
        assert_eq!(later_line.file_name(), "agent-line-2_8000Hz.wav");
        for name in [first, second, line, later_line] {
            assert_eq!(TrackName::from_file_name(&name.file_name()), Some(name));
        }
        for other in [
            "agent-1_8000Hz.wav",
            "agent-0_8000Hz.wav",
            "agent-02_8000Hz.wav",
            "agent-+2_8000Hz.wav",
            "agent_08000Hz.wav",
            "agent_44100Hz.wav",
            "somebody_8000Hz.wav",
            "agent_8000Hz.wav.part",
            "cloud_RE00000000000000000000000000000000.wav",
            "agent-cloud_8000Hz.wav",
            "agent-cloud-2_8000Hz.wav",
            "agent_8000Hz.wav.new",
            "agent-line-1_8000Hz.wav",
            "agent-line-line_8000Hz.wav",
            "agent-2-line_8000Hz.wav",
            "line_8000Hz.wav",
        ] {
            assert_eq!(TrackName::from_file_name(other), None, "{other}");
        }
    }

    #[test]
    fn what_comes_from_twilios_copy_is_named_apart_from_live_sound() {
        let folder = Folder::new(&sid(), UnixMillis::new(0)).unwrap();
        let first = CloudTrackName {
            recording_no: PartNo::FIRST,
            party: Party::Agent,
            rate: RateHz::Hz8000,
        };
        let second = CloudTrackName { recording_no: PartNo::FIRST.next(), ..first };
        assert_eq!(folder.cloud_track(first).file_name(), "agent-cloud_8000Hz.wav");
        assert_eq!(folder.cloud_track(second).file_name(), "agent-cloud-2_8000Hz.wav");
        let recording_sid: RecordingSid = format!("RE{}", "0b".repeat(16)).parse().unwrap();
        let copy = folder.download(&recording_sid);
        assert_eq!(copy.file_name(), format!("cloud_{recording_sid}.wav"));
        for path in [folder.cloud_track(first), folder.cloud_track(second), copy] {
            assert_eq!(path.as_str().parse(), Ok(path.clone()), "the ledger can name it");
            assert_eq!(TrackName::from_file_name(path.file_name()), None);
        }
    }
}
