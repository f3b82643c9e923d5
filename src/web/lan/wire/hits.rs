//! What was found, as the API says it.

use serde::Serialize;

use super::super::find::play_from;
use super::{rfc3339, seconds};
use crate::store::{self, HitPage, HitPlace};

/// A page of hits, the newest call first; the hits of a call are together, the best first.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the name of the key")]
pub(in crate::web::lan) struct Hits {
    hits: Vec<Hit>,
    next_cursor: Option<String>,
    /// Calls that cannot be found yet, because they are still being made searchable.
    unindexed: u64,
    /// Words that were too many to be looked for.
    words_left_out: usize,
}

/// A place at which something was found; or a call without one, found by its number.
#[derive(Debug, Serialize)]
struct Hit {
    call_sid: String,
    /// Where it was found: `words`, `note` or `number`.
    kind: &'static str,
    /// Whose the number of the other side is, if that is known.
    name: Option<String>,
    direction: &'static str,
    from: String,
    to: String,
    began_at: String,
    speaker: Option<&'static str>,
    start_s: Option<f64>,
    end_s: Option<f64>,
    /// Where to play it from: a little earlier.
    play_from_s: Option<f64>,
    snippet: Option<String>,
    /// What was found in the snippet, counted in its characters.
    marks: Vec<Mark>,
    /// How many more places this call has.
    more_in_call: usize,
}

#[derive(Debug, Serialize)]
struct Mark {
    start: usize,
    end: usize,
}

impl Hits {
    /// Takes what was found, and how many words were not looked for.
    pub(in crate::web::lan) fn new(page: HitPage, words_left_out: usize) -> Self {
        let mut hits = Vec::new();
        for mut found in page.hits {
            let places = std::mem::take(&mut found.places);
            if places.is_empty() {
                hits.push(Hit::new(&found, None));
            }
            hits.extend(places.into_iter().map(|place| Hit::new(&found, Some(place))));
        }
        let next_cursor = page.next.map(store::Cursor::to_text);
        Self { hits, next_cursor, unindexed: page.unindexed, words_left_out }
    }
}

impl Hit {
    fn new(found: &store::Hit, place: Option<HitPlace>) -> Self {
        let marks = place.as_ref().map(|place| {
            let chars =
                |at: usize| place.snippet.text.get(..at).map_or(0, |before| before.chars().count());
            let mark =
                |(start, end): &(usize, usize)| Mark { start: chars(*start), end: chars(*end) };
            place.snippet.marks.iter().map(mark).collect()
        });
        let said = place.as_ref().and_then(|place| place.said);
        Self {
            call_sid: found.call_sid.to_string(),
            kind: match (&place, said) {
                (_, Some(_)) => "words",
                (Some(_), None) => "note",
                (None, None) => "number",
            },
            name: found.name.clone(),
            direction: found.direction.as_str(),
            from: found.from_number.clone(),
            to: found.to_number.clone(),
            began_at: rfc3339(found.began_at),
            speaker: said.map(|said| said.party.as_str()),
            start_s: said.map(|said| seconds(said.start_ms)),
            end_s: said.map(|said| seconds(said.end_ms)),
            play_from_s: said.map(|said| seconds(play_from(said.start_ms))),
            marks: marks.unwrap_or_default(),
            snippet: place.map(|place| place.snippet.text),
            more_in_call: found.more,
        }
    }
}
