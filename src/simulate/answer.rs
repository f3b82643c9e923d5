//! What the appliance's `TwiML` asks for.

use roxmltree::{Document, Node};

use super::Error;
use crate::domain::StreamTrack;

/// The part of a document that matters to a recorder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) stream: Option<StreamOrder>,
    pub(super) recording: Option<RecordingOrder>,
    /// Whom the call is put through to.
    pub(super) dialled: Vec<String>,
    /// What is told how those fare.
    pub(super) leg_callback: Option<String>,
    /// What is asked when a key is pressed.
    pub(super) on_key: Option<String>,
}

/// `<Start><Stream>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StreamOrder {
    pub(super) url: String,
    pub(super) name: Option<String>,
    pub(super) tracks: Vec<StreamTrack>,
    pub(super) status_callback: Option<String>,
    pub(super) parameters: Vec<(String, String)>,
}

/// `<Start><Recording>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordingOrder {
    pub(super) status_callback: Option<String>,
    pub(super) events: Vec<String>,
    pub(super) channels: &'static str,
    pub(super) track: String,
}

impl Answer {
    /// Reads a document as Twilio does, with its defaults.
    pub(super) fn parse(xml: &str) -> Result<Self, Error> {
        let not_twiml = |why: String| Error::NotTwiml { why };
        let document = Document::parse(xml).map_err(|error| not_twiml(error.to_string()))?;
        let root = document.root_element();
        if !root.has_tag_name("Response") {
            return Err(not_twiml(format!("its root is <{}>", root.tag_name().name())));
        }
        let started = |noun| {
            let starts = root.children().filter(|verb| verb.has_tag_name("Start"));
            starts.flat_map(|start| start.children()).find(|node| node.has_tag_name(noun))
        };
        Ok(Self {
            stream: started("Stream").map(StreamOrder::of),
            recording: started("Recording").map(RecordingOrder::of),
            dialled: dialled(root),
            leg_callback: root
                .descendants()
                .filter(|node| node.has_tag_name("Number") || node.has_tag_name("Client"))
                .find_map(|node| attribute(node, "statusCallback")),
            on_key: root
                .children()
                .filter(|verb| verb.has_tag_name("Gather"))
                .find_map(|gather| attribute(gather, "action")),
        })
    }
}

/// Returns whom a document dials: a bare number, or one noun each.
fn dialled(root: Node<'_, '_>) -> Vec<String> {
    let dials = root.children().filter(|verb| verb.has_tag_name("Dial"));
    let named = dials.flat_map(|dial| dial.children()).filter_map(|child| {
        let text = child.text()?.trim();
        let text =
            if child.has_tag_name("Client") { format!("client:{text}") } else { text.to_owned() };
        (!text.is_empty() && text != "client:").then_some(text)
    });
    named.collect()
}

impl StreamOrder {
    fn of(node: Node<'_, '_>) -> Self {
        let parameters = node.children().filter(|child| child.has_tag_name("Parameter"));
        Self {
            url: attribute(node, "url").unwrap_or_default(),
            name: attribute(node, "name"),
            tracks: match node.attribute("track") {
                Some("both_tracks") => StreamTrack::ALL.to_vec(),
                Some("outbound_track") => vec![StreamTrack::Outbound],
                _ => vec![StreamTrack::Inbound],
            },
            status_callback: attribute(node, "statusCallback"),
            parameters: parameters
                .filter_map(|node| Some((attribute(node, "name")?, attribute(node, "value")?)))
                .collect(),
        }
    }
}

impl RecordingOrder {
    fn of(node: Node<'_, '_>) -> Self {
        let events = node.attribute("recordingStatusCallbackEvent").unwrap_or("completed");
        Self {
            status_callback: attribute(node, "recordingStatusCallback"),
            events: events.split_whitespace().map(str::to_owned).collect(),
            channels: if node.attribute("channels") == Some("mono") { "1" } else { "2" },
            track: attribute(node, "track").unwrap_or_else(|| "both".to_owned()),
        }
    }

    pub(super) fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|wanted| wanted == event)
    }
}

fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.attribute(name).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilios_defaults_hold_where_nothing_is_said() {
        let xml = r#"<?xml version="1.0"?><Response><Say>x</Say><Start><Stream url="wss://h/m"/>
            </Start><Start><Recording/></Start><Dial>+1</Dial>
            <Dial><Number>+2</Number><Client>a</Client></Dial></Response>"#;
        let answer = Answer::parse(xml).unwrap();
        let stream = answer.stream.unwrap();
        assert_eq!(stream.tracks, [StreamTrack::Inbound]);
        assert_eq!((stream.name, stream.status_callback), (None, None));
        let recording = answer.recording.unwrap();
        assert!(recording.wants("completed") && !recording.wants("in-progress"));
        assert_eq!((recording.channels, recording.track.as_str()), ("2", "both"));
        assert_eq!(answer.dialled, ["+1", "+2", "client:a"]);
    }

    #[test]
    fn a_document_without_a_stream_is_an_answer_and_another_document_is_none() {
        let bare = Answer::parse("<Response><Hangup/></Response>").unwrap();
        assert_eq!((bare.stream, bare.recording, bare.dialled.len()), (None, None, 0));
        assert_eq!((bare.leg_callback, bare.on_key), (None, None));
        for other in ["", "<html/>", "\n<?xml version=\"1.0\"?><Response/>", "<Response>"] {
            assert!(matches!(Answer::parse(other), Err(Error::NotTwiml { .. })), "{other:?}");
        }
    }
}
