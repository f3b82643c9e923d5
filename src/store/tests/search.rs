//! What was said, found again.

use jiff::tz::TimeZone;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::*;

impl Ledger {
    /// A call in which these were said.
    async fn said(&self, n: u8, lines: &[(Party, u64, &str)]) -> CallId {
        let id = self.finished(n).await;
        self.write_down(lines).await;
        id
    }

    /// Writes the transcript that is due.
    async fn write_down(&self, lines: &[(Party, u64, &str)]) {
        let claim = self.store.claim(Stage::Transcript, at(99_000)).await.unwrap().unwrap();
        let segment = |(party, start_ms, text): &(Party, u64, &str)| SegmentRow {
            party: *party,
            start_ms: *start_ms,
            end_ms: start_ms + 900,
            text: (*text).to_owned(),
            words: Vec::new(),
            ..transcript().segments[0].clone()
        };
        let transcript =
            TranscriptRow { segments: lines.iter().map(segment).collect(), ..transcript() };
        let done = Settlement::Done(Output::Transcript { transcript, spent: Vec::new() });
        self.store.settle(claim, done, at(99_000)).await.unwrap();
    }

    /// Says whether these letters stand in the index's own pages.
    async fn index_has(&self, letters: &'static str) -> bool {
        let sql = "select exists (select 1 from call_search_data \
                   where instr(block, cast(?1 as blob)) > 0)";
        self.store
            .read(move |db| Ok(db.query_row(sql, [letters], |row| row.get(0))?))
            .await
            .unwrap()
    }

    async fn find(&self, typed: &str) -> HitPage {
        let query = SearchQuery::parse(typed, &TimeZone::UTC);
        self.store.search(query, None, 20).await.unwrap()
    }

    /// In which calls, and where in the first of them.
    async fn found(&self, typed: &str) -> (Vec<CallSid>, Vec<(Party, u64)>) {
        let page = self.find(typed).await;
        let places = page.hits.first().map(|first| {
            let said = first.places.iter().filter_map(|place| place.said);
            said.map(|said| (said.party, said.start_ms)).collect::<Vec<_>>()
        });
        (page.hits.into_iter().map(|found| found.call_sid).collect(), places.unwrap_or_default())
    }
}

use Party::{Agent, Technician};

#[tokio::test]
async fn a_call_is_found_by_its_words_its_parties_its_numbers_and_its_day() {
    let ledger = ledger();
    ledger.said(1, &[(Technician, 400, "The capacitor is swollen."), (Agent, 900, "Oh no.")]).await;
    ledger
        .said(2, &[(Agent, 500, "Is the Café open?"), (Technician, 700, "A new capacitor")])
        .await;
    for (typed, calls, places) in [
        ("capacitor", vec![sid(2), sid(1)], vec![(Technician, 700)]),
        ("CAPAC* swollen", vec![sid(1)], vec![(Technician, 400)]),
        ("\"new capacitor\"", vec![sid(2)], vec![(Technician, 700)]),
        ("\"capacitor new\"", vec![], vec![]),
        ("cafe", vec![sid(2)], vec![(Agent, 500)]),
        ("oh capacitor", vec![sid(1)], vec![(Technician, 400), (Agent, 900)]),
        ("party:agent capacitor", vec![], vec![]),
        ("party:technician capacitor", vec![sid(2), sid(1)], vec![(Technician, 700)]),
        ("number:0100 swollen", vec![sid(1)], vec![(Technician, 400)]),
        ("number:0101 swollen", vec![], vec![]),
        ("+1 555 0100", vec![sid(2), sid(1)], vec![]),
        ("capacitor from:2026-09-21 to:2026-09-21", vec![sid(2), sid(1)], vec![(Technician, 700)]),
        ("capacitor from:2026-09-22", vec![], vec![]),
        ("capacitor to:2026-09-20", vec![], vec![]),
        ("", vec![], vec![]),
    ] {
        assert_eq!(ledger.found(typed).await, (calls, places), "{typed}");
    }
}

#[tokio::test]
async fn what_is_found_follows_the_ledger() {
    let ledger = ledger();
    let id = ledger.finished(1).await;
    assert_eq!(ledger.found("5550100").await.0, [sid(1)], "by its number before it has words");
    ledger.write_down(&[(Technician, 400, "The capacitor is swollen.")]).await;
    assert_eq!(ledger.found("party:technician capacitor").await.0, [sid(1)]);
    ledger.store.swap_parties(sid(1), "anna".to_owned(), at(99_100)).await.unwrap();
    assert_eq!(ledger.found("party:technician capacitor").await.0, []);
    assert_eq!(ledger.found("party:agent capacitor").await, (vec![sid(1)], vec![(Agent, 400)]));
    let again = "update stages set status = 'pending' where stage = 'transcript'";
    ledger.store.write(move |tx| Ok(tx.execute(again, [])?)).await.unwrap();
    ledger.write_down(&[(Technician, 400, "The compressor is swollen.")]).await;
    assert_eq!(ledger.found("capacitor").await.0, [], "other words took its place");
    assert_eq!(ledger.found("compressor").await.0, [sid(1)]);
    let gone = move |tx: &Transaction<'_>| Ok(tx.execute("delete from transcripts", [])?);
    ledger.store.write(gone).await.unwrap();
    assert_eq!(ledger.found("compressor").await.0, []);
    assert_eq!(ledger.found("5550100").await.0, [sid(1)]);
    let gone =
        move |tx: &Transaction<'_>| Ok(tx.execute("delete from calls where id = ?1", [id.0])?);
    ledger.store.write(gone).await.unwrap();
    assert_eq!(ledger.found("5550100").await.0, []);
}

#[tokio::test]
async fn a_word_of_a_deleted_call_does_not_stay_in_the_index() {
    let ledger = ledger();
    let id = ledger.said(1, &[(Technician, 400, "The xylophonist is swollen.")]).await;
    // Where most of a piece was deleted, SQLite makes it anew at once.
    for n in 2..=40 {
        ledger.said(n, &[(Technician, 400, "The capacitor is swollen.")]).await;
    }
    assert!(ledger.index_has("ylophonist").await);
    let gone =
        move |tx: &Transaction<'_>| Ok(tx.execute("delete from calls where id = ?1", [id.0])?);
    ledger.store.write(gone).await.unwrap();
    assert!(ledger.index_has("ylophonist").await, "else this test says nothing");
    while ledger.store.forget_some().await.unwrap() {}
    assert!(!ledger.index_has("ylophonist").await);
    assert_eq!(ledger.found("swollen").await.0.first(), Some(&sid(40)));
    assert!(!ledger.store.forget_some().await.unwrap(), "and that was that");
}

#[tokio::test]
async fn pages_join_and_places_beyond_a_few_are_counted() {
    let ledger = ledger();
    let line = |n: u64| (Technician, n * 1000, "pump, pump");
    for n in 1..=5 {
        ledger.said(n, &[line(1), line(2), line(3), line(4), line(5)]).await;
    }
    let query = SearchQuery::parse("pump", &TimeZone::UTC);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.store.search(query.clone(), after, 2).await.unwrap();
        for found in page.hits {
            assert_eq!((found.places.len(), found.more), (3, 2));
            assert_eq!(found.places[0].snippet.marks, [(0, 4), (6, 10)]);
            seen.push(found.call_sid);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(sid));
    let filter = CallFilter { words: Some(query), ..CallFilter::default() };
    let listed = ledger.store.calls(filter, None, 3).await.unwrap();
    assert_eq!(listed.calls.len(), 3);
    assert!(listed.next.is_some());
}

#[tokio::test]
async fn calls_from_before_there_was_an_index_are_found_bit_by_bit_and_until_then_counted() {
    let ledger = ledger();
    for n in 1..=5 {
        ledger.said(n, &[(Technician, 400, "The capacitor is swollen.")]).await;
    }
    let as_before = |tx: &Transaction<'_>| {
        tx.execute("delete from call_search", [])?;
        let sql = "update meta set value = '6' where key = 'search_indexed_down_to'";
        Ok(tx.execute(sql, [])?)
    };
    ledger.store.write(as_before).await.unwrap();
    let page = ledger.find("capacitor").await;
    assert_eq!((page.hits.len(), page.unindexed), (0, 5));
    assert_eq!(ledger.store.index_some(2).await.unwrap(), 3);
    assert_eq!(ledger.found("capacitor").await.0, [5, 4].map(sid), "the newest first");
    while ledger.store.index_some(2).await.unwrap() > 0 {}
    let page = ledger.find("capacitor").await;
    assert_eq!((page.hits.len(), page.unindexed), (5, 0));
    assert_eq!(ledger.store.index_some(2).await.unwrap(), 0);
}

#[tokio::test]
async fn no_text_is_an_error() {
    let ledger = ledger();
    ledger.said(1, &[(Technician, 400, "The capacitor is swollen.")]).await;
    let odd = r#"([a-zé0-9"*:(){}^+\-'.~ß\x00]|party:|from:2026|NEAR\(|AND |OR |NOT ){0,30}"#;
    let strategy = proptest::string::string_regex(odd).unwrap();
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let typed = strategy.new_tree(&mut runner).unwrap().current();
        let query = SearchQuery::parse(&typed, &TimeZone::UTC);
        ledger.store.search(query.clone(), None, 20).await.unwrap();
        let filter = CallFilter { words: Some(query), ..CallFilter::default() };
        ledger.store.calls(filter, None, 20).await.unwrap();
    }
}
