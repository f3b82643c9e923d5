//! What people add, and what there is by number.

use super::*;

fn spoken(start_ms: u64, text: &str) -> TranscriptRow {
    let segment = SegmentRow {
        start_ms,
        end_ms: start_ms + 900,
        text: text.to_owned(),
        words: Vec::new(),
        ..transcript().segments[0].clone()
    };
    TranscriptRow { segments: vec![segment], ..transcript() }
}

impl Ledger {
    /// Writes the call down, for the first time or anew.
    async fn written(&self, n: u8, transcript: TranscriptRow) {
        let again = "update stages set status = 'pending', next_attempt_at_ms = 0 \
                     where stage = 'transcript' and call_id = (select id from calls where call_sid = ?1)";
        let sid = sid(n).to_string();
        self.store.write(move |tx| Ok(tx.execute(again, [sid])?)).await.unwrap();
        let claim = self.store.claim(Stage::Transcript, at(99_000)).await.unwrap().unwrap();
        let done = Settlement::Done(Output::Transcript { transcript, spent: Vec::new() });
        self.store.settle(claim, done, at(99_000)).await.unwrap();
    }

    async fn words(&self, n: u8) -> String {
        self.store.transcript(&sid(n)).await.unwrap().unwrap().segments[0].text.clone()
    }

    async fn correct(&self, n: u8, party: Party, text: &str) -> Corrected {
        let new = NewCorrection {
            call_sid: sid(n),
            party,
            start_ms: 400,
            text: text.to_owned(),
            author: "anna".to_owned(),
            at: at(99_100),
        };
        self.store.correct(new).await.unwrap()
    }
}

#[tokio::test]
async fn words_put_right_stay_so_when_the_same_is_heard_again_and_only_then() {
    let ledger = ledger();
    ledger.finished(1).await;
    ledger.written(1, spoken(400, "The old capacity.")).await;
    let (party, other) = (Party::Technician, Party::Agent);
    assert_eq!(ledger.correct(1, party, "The old capacitor.").await, Corrected::Done);
    assert_eq!(ledger.correct(1, party, "The old capacitor.").await, Corrected::AsItWas);
    assert_eq!(ledger.correct(1, other, "The old capacitor.").await, Corrected::NoSuchSegment);
    assert_eq!(ledger.words(1).await, "The old capacitor.");
    ledger.written(1, spoken(900, "The old capacity.")).await;
    assert_eq!(ledger.words(1).await, "The old capacitor.", "the same, half a second on");
    ledger.written(1, spoken(400, "The cold capacity.")).await;
    assert_eq!(ledger.words(1).await, "The cold capacity.", "something else was heard");
    let detail = ledger.store.call(&sid(1)).await.unwrap().unwrap();
    assert_eq!(detail.corrections.len(), 1, "what was put right is not forgotten");
    ledger.written(1, spoken(400, "The old capacity.")).await;
    assert_eq!(ledger.correct(1, party, "The old capacity.").await, Corrected::Done, "taken back");
    assert_eq!(ledger.words(1).await, "The old capacity.");
    ledger.store.swap_parties(sid(1), "anna".to_owned(), at(99_200)).await.unwrap();
    assert_eq!(ledger.correct(1, other, "The old capacitor.").await, Corrected::Done);
    let detail = ledger.store.call(&sid(1)).await.unwrap().unwrap();
    assert!(detail.corrections.iter().all(|one| one.party == other), "as people see it");
}

#[tokio::test]
async fn a_summary_is_made_anew_of_words_put_right() {
    let ledger = ledger();
    ledger.finished(1).await;
    ledger.written(1, spoken(400, "The old capacity.")).await;
    let claim = ledger.store.claim(Stage::Summary, at(99_050)).await.unwrap().unwrap();
    ledger.store.settle(claim, Settlement::Nothing, at(99_060)).await.unwrap();
    assert!(ledger.store.claim(Stage::Summary, at(99_070)).await.unwrap().is_none());
    ledger.correct(1, Party::Technician, "The old capacitor.").await;
    assert!(ledger.store.claim(Stage::Summary, at(99_100)).await.unwrap().is_some());
}

#[tokio::test]
async fn numbers_count_their_calls_and_forget_those_that_are_gone() {
    let ledger = ledger();
    for (n, from) in [(1, "+15550100"), (2, "+15550101"), (3, "+15550100"), (4, "")] {
        let new = NewCall { from_number: from.to_owned(), ..call(n, "ringing", i64::from(n)) };
        ledger.store.announce_call(new, None).await.unwrap();
    }
    let counts = async || {
        let page = ledger.store.numbers(None, None, 10).await.unwrap();
        page.numbers.into_iter().map(|row| (row.number, row.calls)).collect::<Vec<_>>()
    };
    let both = [("+15550100".to_owned(), 2), ("+15550101".to_owned(), 1)];
    assert_eq!(counts().await, both, "a withheld number is none");
    let first = ledger.store.numbers(None, None, 1).await.unwrap();
    let cursor = NumberCursor::from_text(&first.next.unwrap().to_text());
    let second = ledger.store.numbers(None, cursor, 1).await.unwrap();
    assert_eq!((second.numbers[0].number.as_str(), second.next), ("+15550101", None));
    for n in [3, 2] {
        let sid = sid(n).to_string();
        let gone = move |tx: &Transaction<'_>| {
            Ok(tx.execute("delete from calls where call_sid = ?1", [sid])?)
        };
        ledger.store.write(gone).await.unwrap();
    }
    assert_eq!(counts().await, [("+15550100".to_owned(), 1)]);
    assert_eq!(ledger.store.number("+15550101").await.unwrap(), None);
}
