//! A conversation written down: plain text, JSON (the API's `Transcript`), SRT and `WebVTT`.
//!
//! What people said or typed cannot break out of its place: line ends become spaces, an arrow
//! cannot begin a cue, and in `WebVTT` `<` and `&` are escaped.

use std::fmt::Write as _;
use std::str::FromStr;

use serde::Serialize;

use super::conversation::{Said, turns};
use super::{Segment, SpokenWord};
use crate::domain::CallSid;
use crate::store::{SegmentRow, TranscriptRow, WordRow};

/// How a transcript is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One line a turn.
    Txt,
    /// The API's `Transcript`.
    Json,
    /// `SubRip` subtitles.
    Srt,
    /// `WebVTT` captions.
    Vtt,
}

/// A format nobody writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no transcript format: txt, json, srt and vtt are")]
pub struct BadFormat(String);

impl Format {
    /// Every format, in order.
    pub const ALL: [Self; 4] = [Self::Txt, Self::Json, Self::Srt, Self::Vtt];

    /// Returns its name, which is also its file extension.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Json => "json",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
        }
    }

    /// Returns its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Txt => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Srt => "application/x-subrip; charset=utf-8",
            Self::Vtt => "text/vtt; charset=utf-8",
        }
    }
}

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(name: &str) -> Result<Self, BadFormat> {
        let named = Self::ALL.into_iter().find(|format| format.as_str() == name);
        named.ok_or_else(|| BadFormat(name.to_owned()))
    }
}

/// A transcript and what is known about it.
#[derive(Debug, Clone)]
pub struct Transcript<'a> {
    /// The call, if it is one's.
    pub call_sid: Option<&'a str>,
    /// The file, if it is one's.
    pub file: Option<&'a str>,
    /// The language.
    pub language: &'a str,
    /// The model that heard it.
    pub model: &'a str,
    /// `stream` or `cloud`, if it is a call's.
    pub source: Option<&'a str>,
    /// Stretches that were heard and dropped.
    pub dropped: u32,
    /// What was said, in order.
    pub said: &'a [Said<String>],
}

/// Writes a call's conversation down as the ledger has it.
pub fn written(call_sid: &CallSid, row: &TranscriptRow, format: Format) -> String {
    let said: Vec<Said<String>> = row.segments.iter().map(said).collect();
    let transcript = Transcript {
        call_sid: Some(call_sid.as_str()),
        file: None,
        language: &row.language,
        model: &row.model,
        source: Some(row.source.as_str()),
        dropped: row.dropped,
        said: &said,
    };
    transcript.write(format)
}

#[expect(clippy::cast_possible_truncation, reason = "the model's own figures are 32 bits wide")]
fn said(row: &SegmentRow) -> Said<String> {
    let segment = Segment {
        start_ms: row.start_ms,
        end_ms: row.end_ms,
        text: row.text.clone(),
        avg_logprob: row.avg_logprob as f32,
        no_speech_prob: row.no_speech_prob as f32,
        words: row.words.iter().map(word).collect(),
    };
    Said { speaker: row.party.to_string(), segment }
}

fn word(row: &WordRow) -> SpokenWord {
    SpokenWord { text: row.text.clone(), start_ms: row.start_ms, end_ms: row.end_ms }
}

impl Transcript<'_> {
    /// Writes it down.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Txt => self.txt(),
            Format::Json => self.json(),
            Format::Srt => self.srt(),
            Format::Vtt => self.vtt(),
        }
    }

    fn txt(&self) -> String {
        let mut out = String::new();
        for turn in turns(self.said) {
            let s = turn.start_ms / 1000;
            let (name, text) = (one_line(&turn.speaker), one_line(&turn.text));
            line(&mut out, format_args!("[{:02}:{:02}] {name}: {text}", s / 60, s % 60));
        }
        out
    }

    fn json(&self) -> String {
        let segments = self.said.iter().map(|said| JsonSegment {
            speaker: &said.speaker,
            start_s: seconds(said.segment.start_ms),
            end_s: seconds(said.segment.end_ms),
            text: &said.segment.text,
            confidence: hundredths(said.segment.confidence()),
            avg_logprob: hundredths(said.segment.avg_logprob),
            no_speech_prob: hundredths(said.segment.no_speech_prob),
            words: said.segment.words.iter().map(JsonWord::of).collect(),
        });
        let transcript = JsonTranscript {
            call_sid: self.call_sid,
            file: self.file,
            language: self.language,
            model: self.model,
            source: self.source,
            dropped: self.dropped,
            segments: segments.collect(),
        };
        // Plain strings and finite numbers cannot fail to become JSON.
        serde_json::to_string(&transcript).unwrap_or_default() + "\n"
    }

    fn srt(&self) -> String {
        let mut out = String::new();
        for (index, Said { speaker, segment }) in self.said.iter().enumerate() {
            line(&mut out, format_args!("{}", index + 1));
            let (start, end) = (clock(segment.start_ms, ','), clock(segment.end_ms, ','));
            line(&mut out, format_args!("{start} --> {end}"));
            // SubRip has tags and no way to escape one.
            let cue = format!("{}: {}", one_line(speaker), one_line(&segment.text));
            line(&mut out, format_args!("{}\n", cue.replace('<', "‹").replace('>', "›")));
        }
        out
    }

    fn vtt(&self) -> String {
        let mut out = String::from("WEBVTT\n\n");
        for Said { speaker, segment } in self.said {
            let (start, end) = (clock(segment.start_ms, '.'), clock(segment.end_ms, '.'));
            line(&mut out, format_args!("{start} --> {end}"));
            let (name, text) = (escaped(&one_line(speaker)), escaped(&one_line(&segment.text)));
            line(&mut out, format_args!("<v {name}>{text}\n"));
        }
        out
    }
}

#[derive(Serialize)]
struct JsonTranscript<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    call_sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    language: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    dropped: u32,
    segments: Vec<JsonSegment<'a>>,
}

#[derive(Serialize)]
struct JsonSegment<'a> {
    speaker: &'a str,
    start_s: f64,
    end_s: f64,
    text: &'a str,
    confidence: f64,
    avg_logprob: f64,
    no_speech_prob: f64,
    /// Where it is not known where they lie there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    words: Vec<JsonWord<'a>>,
}

#[derive(Serialize)]
struct JsonWord<'a> {
    text: &'a str,
    start_s: f64,
    end_s: f64,
}

impl<'a> JsonWord<'a> {
    fn of(word: &'a SpokenWord) -> Self {
        Self { text: &word.text, start_s: seconds(word.start_ms), end_s: seconds(word.end_ms) }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

#[expect(clippy::cast_precision_loss, reason = "a call is far shorter than 2^53 ms")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

fn hundredths(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

fn clock(ms: u64, point: char) -> String {
    let s = ms / 1000;
    format!("{:02}:{:02}:{:02}{point}{:03}", s / 3600, s / 60 % 60, s % 60, ms % 1000)
}

/// Takes out what would end a line or a cue, and an arrow wherever one could be read.
fn one_line(text: &str) -> String {
    let spaced: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut text = words.join(" ");
    while text.contains("-->") {
        text = text.replace("-->", "");
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::segment::Segment;
    use super::*;

    fn said(speaker: &str, start_ms: u64, end_ms: u64, text: &str) -> Said<String> {
        let text = text.to_owned();
        let segment = Segment {
            start_ms,
            end_ms,
            text,
            avg_logprob: -0.1,
            no_speech_prob: 0.0,
            words: Vec::new(),
        };
        Said { speaker: speaker.to_owned(), segment }
    }

    fn written(said: &[Said<String>], format: Format) -> String {
        let transcript = Transcript {
            call_sid: Some("CA0"),
            file: None,
            language: "en",
            model: "tiny.en-q8_0",
            source: Some("stream"),
            dropped: 2,
            said,
        };
        transcript.write(format)
    }

    #[test]
    fn each_format_as_its_readers_expect_it() {
        let talk = [
            said("agent", 420, 3100, "Good morning."),
            said("agent", 3200, 4000, "Who is it?"),
            said("technician", 3_661_004, 3_662_000, "Daniel & co."),
        ];
        assert_eq!(
            written(&talk, Format::Txt),
            "[00:00] agent: Good morning. Who is it?\n[61:01] technician: Daniel & co.\n"
        );
        assert_eq!(
            written(&talk[..1], Format::Json),
            "{\"call_sid\":\"CA0\",\"language\":\"en\",\"model\":\"tiny.en-q8_0\",\"source\":\
             \"stream\",\"dropped\":2,\"segments\":[{\"speaker\":\"agent\",\"start_s\":0.42,\
             \"end_s\":3.1,\"text\":\"Good morning.\",\"confidence\":0.9,\"avg_logprob\":-0.1,\
             \"no_speech_prob\":0.0}]}\n"
        );
        assert_eq!(
            written(&talk[2..], Format::Srt),
            "1\n01:01:01,004 --> 01:01:02,000\ntechnician: Daniel & co.\n\n"
        );
        assert_eq!(
            written(&talk[2..], Format::Vtt),
            "WEBVTT\n\n01:01:01.004 --> 01:01:02.000\n<v technician>Daniel &amp; co.\n\n"
        );
    }

    #[test]
    fn no_text_and_no_name_breaks_out_of_its_cue() {
        let bad = "a\n\n2\n00:00:00.000 --> 00:00:09.000\n<script>&---->>x\u{85}\r";
        for format in [Format::Srt, Format::Vtt] {
            let out = written(&[said(bad, 0, 1000, bad)], format);
            let cues = out.lines().filter(|line| line.contains("-->")).count();
            assert_eq!(cues, 1, "{out}");
            assert!(!out.contains("<script"), "{out}");
            assert!(out.trim_end().ends_with('x'), "{out}");
        }
        assert_eq!(written(&[said(bad, 0, 1, bad)], Format::Txt).lines().count(), 1);
    }

    #[test]
    fn json_tells_when_each_word_was_said() {
        let mut talk = said("agent", 420, 1100, "Good morning.");
        let word =
            |text: &str, start_ms, end_ms| SpokenWord { text: text.to_owned(), start_ms, end_ms };
        talk.segment.words = vec![word("Good", 420, 700), word("morning.", 700, 1100)];
        let json = written(&[talk], Format::Json);
        let words = "\"words\":[{\"text\":\"Good\",\"start_s\":0.42,\"end_s\":0.7},\
                     {\"text\":\"morning.\",\"start_s\":0.7,\"end_s\":1.1}]";
        assert!(json.contains(words), "{json}");
    }

    #[test]
    fn a_format_is_known_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert!("docx".parse::<Format>().is_err());
    }
}
