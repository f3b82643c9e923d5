use proptest::prelude::*;
use roxmltree::{Document as Xml, Node};

use super::super::{CloudCopy, Sound};
use super::*;

const TO: &str = "+15125550123";

fn sound() -> Sound {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"RIFF\0\0\0\0WAVEfmt ").unwrap();
    Sound::read(file.path()).unwrap()
}

fn announcements() -> impl Strategy<Value = Announcement> {
    let words = ("[a-zA-Z &<>'\"]{1,40}", any::<bool>(), any::<bool>());
    let said = words.prop_map(|(text, language, voice)| Announcement::Said {
        text: format!("x{text}"),
        language: language.then(|| "en-GB".to_owned()),
        voice: voice.then(|| "Polly.Amy".to_owned()),
    });
    prop_oneof![
        Just(Announcement::Nothing),
        Just(Announcement::Unable),
        Just(Announcement::Played(sound())),
        said
    ]
}

prop_compose! {
    fn answerings()(
        announcement in announcements(),
        decline_key in prop::option::of(prop::sample::select(vec!['0', '9', '*', '#'])),
        caller_id in prop::option::of(Just("+15125550199".to_owned())),
        agent_identity in prop::option::of(Just("anna".to_owned())),
        agent_number in prop::option::of(Just("+15125550142".to_owned())),
        cloud_copy in prop::sample::select(vec![CloudCopy::Twiml, CloudCopy::Rest, CloudCopy::Off]),
    ) -> Answering {
        Answering {
            announcement,
            decline_key,
            caller_id,
            country: "US".parse().unwrap(),
            agent_identity,
            agent_number,
            cloud_copy,
        }
    }
}

fn callers() -> impl Strategy<Value = Caller<'static>> {
    let origins = prop::sample::select(Origin::ALL.to_vec());
    (origins, prop::sample::select(vec![None, Some(""), Some(TO)]))
        .prop_map(|(origin, to)| Caller { origin, to })
}

/// Whether an element records, streams, or lets others do so.
fn records(node: Node<'_, '_>) -> bool {
    let named =
        ["Stream", "Recording", "Record", "Connect", "Siprec", "Transcription", "Conference"];
    named.iter().any(|name| node.has_tag_name(*name))
        || node.attribute("record").is_some_and(|how| how != "do-not-record")
}

/// Whether an element tells the announcement, as it is configured.
fn tells(node: Node<'_, '_>, announcement: &Announcement) -> bool {
    match announcement {
        Announcement::Nothing | Announcement::Unable => false,
        Announcement::Said { text, language, voice } => {
            node.has_tag_name("Say")
                && node.text() == Some(text)
                && node.attribute("language") == language.as_deref()
                && node.attribute("voice") == voice.as_deref()
        }
        Announcement::Played(_) => {
            let is_ours = |url: &str| url.starts_with("https://h/twilio/announcement/");
            node.has_tag_name("Play") && node.text().is_some_and(is_ours)
        }
    }
}

/// What holds of every document.
fn check(document: &Document, answering: &Answering) -> Result<bool, TestCaseError> {
    let xml = document.to_xml();
    let xml = Xml::parse(&xml).unwrap();
    let elements: Vec<Node<'_, '_>> = xml.descendants().filter(Node::is_element).collect();
    let recorded_at = elements.iter().position(|node| records(*node));
    let told_at = elements.iter().position(|node| tells(*node, &answering.announcement));
    if let Some(recorded_at) = recorded_at {
        prop_assert_ne!(&answering.announcement, &Announcement::Unable);
        if answering.announcement != Announcement::Nothing {
            prop_assert!(told_at.is_some_and(|told_at| told_at < recorded_at));
        }
        if answering.decline_key.is_some() && answering.announcement != Announcement::Nothing {
            let told = told_at.and_then(|at| elements.get(at)).and_then(Node::parent_element);
            prop_assert!(told.is_some_and(|parent| parent.has_tag_name("Gather")));
        }
    }
    Ok(recorded_at.is_some())
}

proptest! {
    #[test]
    fn nothing_is_recorded_that_was_not_announced_in_any_document(
        answering in answerings(),
        caller in callers(),
        streams in any::<bool>(),
        at_twilio in any::<bool>(),
    ) {
        let public_url = PublicUrl::parse("https://h").unwrap();
        let recorded = Recorded { token: streams.then_some("token"), at_twilio };
        let asked = first(&answering, &public_url, caller, recorded).unwrap();
        let is_recorded = check(&asked, &answering)?;
        let wanted = streams || at_twilio;
        prop_assert_eq!(is_recorded, wanted && may_record(&answering, caller.origin));
        // Whoever said no, and whoever a browser dialled, is recorded by no document of theirs.
        prop_assert!(!check(&declined(&answering, &public_url, caller), &answering)?);
        prop_assert!(!check(&leg(&answering, &public_url), &answering)?);
    }

    #[test]
    fn a_call_is_put_through_whatever_becomes_of_its_recording(
        answering in answerings(),
        caller in callers(),
    ) {
        let public_url = PublicUrl::parse("https://h").unwrap();
        let recorded = Recorded { token: Some("token"), at_twilio: true };
        for document in [
            first(&answering, &public_url, caller, recorded).unwrap(),
            declined(&answering, &public_url, caller),
        ] {
            let xml = document.to_xml();
            let end = if nouns(&answering, caller).is_empty() { "<Hangup/>" } else { "</Dial>" };
            prop_assert!(xml.ends_with(&format!("{end}</Response>")), "{}", xml);
        }
    }
}

#[test]
fn who_is_dialled_by_a_browser_is_told_on_their_own_leg() {
    let answering = Answering {
        announcement: Announcement::Played(sound()),
        decline_key: None,
        caller_id: None,
        country: "US".parse().unwrap(),
        agent_identity: None,
        agent_number: None,
        cloud_copy: CloudCopy::Off,
    };
    let public_url = PublicUrl::parse("https://h").unwrap();
    let browser = Caller { origin: Origin::Client, to: Some(TO) };
    let recorded = Recorded { token: None, at_twilio: true };
    let xml = first(&answering, &public_url, browser, recorded).unwrap().to_xml();
    assert!(xml.contains(r#"url="https://h/twilio/leg#rc=5&amp;rp=all""#), "{xml}");
    assert!(leg(&answering, &public_url).to_xml().contains("<Play>https://h/twilio/announcement/"));
    let telephone = Caller { origin: Origin::Number, to: Some(TO) };
    let with_agent = Answering { agent_number: Some(TO.to_owned()), ..answering };
    let xml = first(&with_agent, &public_url, telephone, recorded).unwrap().to_xml();
    assert!(!xml.contains("/twilio/leg"), "{xml}");
}
