//! What a page asks is answered from an index, however many calls there are.

use rusqlite::{Connection, params_from_iter};

use super::*;
use crate::store::list::Listing;

/// How SQLite goes about a statement, line by line.
fn plan(db: &Connection, sql: &str, values: &[rusqlite::types::Value]) -> Vec<String> {
    let mut explained = db.prepare(&format!("explain query plan {sql}")).unwrap();
    let lines =
        explained.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
    lines.map(Result::unwrap).collect()
}

/// Makes sure that no table that grows is read from end to end.
#[track_caller]
fn assert_indexed(db: &Connection, sql: &str, values: &[rusqlite::types::Value]) {
    let plan = plan(db, sql, values);
    for table in ["calls", "segments", "stages", "found", "numbers", "action_items"] {
        let whole = |line: &&String| {
            let reads = line.strip_prefix("SCAN ").unwrap_or_default();
            reads.split(' ').next() == Some(table)
                && !line.contains("VIRTUAL TABLE")
                && !line.contains("USING INDEX")
                && !line.contains("USING COVERING INDEX")
        };
        assert_eq!(plan.iter().find(whole), None, "{sql}\n{plan:#?}");
    }
}

fn filters() -> Vec<CallFilter> {
    let none = CallFilter::default;
    let words = SearchQuery::parse("capacitor from:2026-11-01", &jiff::tz::TimeZone::UTC);
    vec![
        none(),
        CallFilter { recording_status: Some(RecordingStatus::Failed), ..none() },
        CallFilter { number: Some("+15550100".to_owned()), ..none() },
        CallFilter { from: Some(at(0)), to: Some(at(9)), ..none() },
        CallFilter { stage_status: Some(StageStatus::Failed), ..none() },
        CallFilter {
            stage_status: Some(StageStatus::Pending),
            stage: Some(Stage::Archive),
            ..none()
        },
        CallFilter { stage_status: Some(StageStatus::Completed), ..none() },
        CallFilter { words: Some(words), ..none() },
    ]
}

#[tokio::test]
async fn no_list_reads_a_table_from_end_to_end() {
    let ledger = ledger();
    let plans = ledger.store.read(|db| {
        let cursor = Some(Cursor { created_at: at(0), id: CallId(7) });
        for filter in filters() {
            for after in [None, cursor] {
                let listing = Listing::new(db, &filter, after, 50)?.unwrap();
                assert_indexed(db, &listing.sql, &listing.values);
            }
        }
        assert_indexed(db, &list::backlog_sql(), &[]);
        assert_indexed(db, &queue::queue_sql(), &[1.into()]);
        assert_indexed(db, queue::PACE_SQL, &[1.into()]);
        assert_indexed(db, numbers::PAGE_SQL, &[1.into(), String::new().into(), 20.into()]);
        let number = || "+15550100".to_owned().into();
        for asked in [numbers::ENDS, numbers::LAST_SUMMARY, numbers::OPEN] {
            assert_indexed(db, &numbers::newest(asked), &[number()]);
        }
        assert_indexed(db, &numbers::newest(numbers::OPEN_ITEMS), &[number(), 9.into()]);
        Ok(())
    });
    plans.await.unwrap();
}

#[tokio::test]
async fn a_list_by_number_has_both_directions_in_order_and_each_call_once() {
    let ledger = ledger();
    for n in 1..=6 {
        let other = format!("+1555020{n}");
        let (from, to) = match n % 3 {
            0 => ("+15550100", "+15550100"),
            1 => ("+15550100", other.as_str()),
            _ => (other.as_str(), "+15550100"),
        };
        let call = NewCall {
            from_number: from.to_owned(),
            to_number: to.to_owned(),
            ..call(n, "ringing", i64::from(n))
        };
        ledger.store.announce_call(call, None).await.unwrap();
    }
    let filter = CallFilter { number: Some("+15550100".to_owned()), ..CallFilter::default() };
    let page = ledger.store.calls(filter.clone(), None, 4).await.unwrap();
    let mut seen: Vec<CallSid> = page.calls.iter().map(|call| call.call_sid.clone()).collect();
    let page = ledger.store.calls(filter, page.next, 4).await.unwrap();
    seen.extend(page.calls.iter().map(|call| call.call_sid.clone()));
    assert_eq!(seen, [6, 5, 4, 3, 2, 1].map(sid));
    assert_eq!(page.next, None);
}
