//! The document as text: one line, the declaration first, UTF-8.

use std::borrow::Cow;
use std::io;

use quick_xml::Writer;
use quick_xml::escape::{escape, partial_escape};
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::name::QName;

use super::{
    AnswerOn, Dial, Noun, Recording, RejectReason, Response, Say, Start, Stream, StreamTracks, Verb,
};

impl Response {
    /// Writes the document, to be sent as `text/xml`.
    pub fn to_xml(&self) -> String {
        document(&self.verbs)
    }
}

#[expect(clippy::expect_used, reason = "writing to memory has no errors")]
fn document(verbs: &[Verb]) -> String {
    let mut document = Document { xml: Writer::new(Vec::new()) };
    document.response(verbs).expect("memory takes every byte");
    String::from_utf8(document.xml.into_inner()).expect("made of whole strings")
}

struct Document {
    xml: Writer<Vec<u8>>,
}

type Attributes<'a> = Vec<(&'static str, Cow<'a, str>)>;

impl Document {
    fn response(&mut self, verbs: &[Verb]) -> io::Result<()> {
        self.xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        self.element("Response", Vec::new(), verbs.is_empty(), |document| {
            verbs.iter().try_for_each(|verb| document.verb(verb))
        })
    }

    fn verb(&mut self, verb: &Verb) -> io::Result<()> {
        match verb {
            Verb::Say(say) => self.say(say),
            Verb::Start(start) => {
                self.element("Start", Vec::new(), false, |document| match start {
                    Start::Stream(stream) => document.stream(stream),
                    Start::Recording(recording) => document.recording(recording),
                })
            }
            Verb::Dial(dial) => self.dial(dial),
            Verb::Pause { length_s } => {
                self.empty("Pause", vec![("length", length_s.to_string().into())])
            }
            Verb::Hangup => self.empty("Hangup", Vec::new()),
            Verb::Reject(reason) => {
                let reason = match reason {
                    RejectReason::Rejected => "rejected",
                    RejectReason::Busy => "busy",
                };
                self.empty("Reject", vec![("reason", reason.into())])
            }
        }
    }

    fn say(&mut self, say: &Say) -> io::Result<()> {
        let attributes = [("language", &say.language), ("voice", &say.voice)];
        let given =
            attributes.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let attributes = given.map(|(name, value)| (name, value.into())).collect();
        self.text("Say", attributes, &say.text)
    }

    fn stream(&mut self, stream: &Stream) -> io::Result<()> {
        let track = match stream.tracks {
            StreamTracks::Inbound => "inbound_track",
            StreamTracks::Outbound => "outbound_track",
            StreamTracks::Both => "both_tracks",
        };
        let attributes = vec![
            ("name", stream.name.as_str().into()),
            ("statusCallback", stream.status_callback.as_str().into()),
            ("statusCallbackMethod", "POST".into()),
            ("track", track.into()),
            ("url", stream.url.as_str().into()),
        ];
        self.element("Stream", attributes, stream.parameters.is_empty(), |document| {
            stream.parameters.iter().try_for_each(|(name, value)| {
                let pair = vec![("name", name.into()), ("value", value.into())];
                document.empty("Parameter", pair)
            })
        })
    }

    fn recording(&mut self, recording: &Recording) -> io::Result<()> {
        let mut attributes: Attributes<'_> = vec![("channels", "dual".into())];
        if let Some(url) = &recording.status_callback {
            attributes.extend([
                ("recordingStatusCallback", url.into()),
                ("recordingStatusCallbackEvent", "in-progress completed absent".into()),
                ("recordingStatusCallbackMethod", "POST".into()),
            ]);
        }
        attributes.extend([("track", "both".into()), ("trim", "do-not-trim".into())]);
        self.empty("Recording", attributes)
    }

    fn dial(&mut self, dial: &Dial) -> io::Result<()> {
        let on_bridge = match dial.answer {
            AnswerOn::Bridge => "true",
            AnswerOn::Dial => "false",
        };
        let mut attributes: Attributes<'_> = vec![("answerOnBridge", on_bridge.into())];
        if let Some(caller_id) = &dial.caller_id {
            attributes.push(("callerId", caller_id.into()));
        }
        attributes.push(("timeout", dial.timeout_s.to_string().into()));
        self.element("Dial", attributes, dial.nouns.is_empty(), |document| {
            dial.nouns.iter().try_for_each(|noun| match noun {
                Noun::Number(number) => document.text("Number", Vec::new(), number),
                Noun::Client(identity) => document.text("Client", Vec::new(), identity),
            })
        })
    }

    fn text(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        text: &str,
    ) -> io::Result<()> {
        let text = partial_escape(legal(text)).into_owned();
        self.element(name, attributes, text.is_empty(), |document| {
            document.xml.write_event(Event::Text(BytesText::from_escaped(text)))
        })
    }

    fn empty(&mut self, name: &'static str, attributes: Attributes<'_>) -> io::Result<()> {
        self.element(name, attributes, true, |_| Ok(()))
    }

    fn element(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        empty: bool,
        content: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut start = BytesStart::new(name);
        for (key, value) in attributes {
            start.push_attribute(Attribute {
                key: QName(key),
                value: attribute_text(&value).into(),
            });
        }
        if empty {
            return self.xml.write_event(Event::Empty(start));
        }
        self.xml.write_event(Event::Start(start))?;
        content(self)?;
        self.xml.write_event(Event::End(BytesEnd::new(name)))
    }
}

/// Escapes an attribute's value. A reader turns bare line ends and tabs into blanks there, so
/// these are escaped too.
fn attribute_text(value: &str) -> String {
    escape(legal(value)).replace('\n', "&#10;").replace('\t', "&#9;")
}

/// Leaves out what no XML document may hold, not even escaped.
fn legal(text: &str) -> String {
    let is_legal =
        |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    text.chars().filter(is_legal).collect()
}
