//! Lines to journald, with the fields of their spans.

use std::time::Duration;

use systemd_journal_logger::JournalLog;
use tracing::{Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::Fields;
use super::flood::{self, Flood, Passage};

/// Hands every event over with the fields of the spans around it; a flood of one kind is cut short.
pub(super) struct SpanFields<F> {
    flood: Flood,
    take: F,
}

/// Returns a layer that sends every event to journald as one entry: `call.sid` of a span becomes
/// `CALL_SID`.
pub(super) fn connect(
    since_boot: fn() -> Duration,
) -> std::io::Result<SpanFields<impl Fn(&Metadata<'_>, &Fields)>> {
    let journal = JournalLog::new()?.with_syslog_identifier("fieldtape".to_owned());
    Ok(SpanFields {
        flood: Flood::new(since_boot),
        take: move |metadata: &Metadata<'_>, fields: &Fields| send(&journal, metadata, fields),
    })
}

impl<S, F> Layer<S> for SpanFields<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(&Metadata<'_>, &Fields) + 'static,
{
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(tracing_subscriber::registry::Scope::from_root)
        {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.extend(outer);
            }
        }
        event.record(&mut fields);
        match self.flood.passes(event.metadata(), fields.is_of_call()) {
            Passage::LeftOut => {}
            passage => {
                flood::tell(&mut fields.message, passage);
                (self.take)(event.metadata(), &fields);
            }
        }
    }
}

fn send(journal: &JournalLog, metadata: &Metadata<'_>, fields: &Fields) {
    let message = fields.message.as_str();
    let send = |message: std::fmt::Arguments<'_>| {
        let record = log::Record::builder()
            .level(level(*metadata.level()))
            .target(metadata.target())
            .file(metadata.file())
            .line(metadata.line())
            .key_values(&fields.pairs)
            .args(message)
            .build();
        // There is nowhere left to say that the journal does not listen.
        let _ = journal.journal_send(&record);
    };
    send(format_args!("{message}"));
}

fn level(level: Level) -> log::Level {
    match level {
        Level::ERROR => log::Level::Error,
        Level::WARN => log::Level::Warn,
        Level::INFO => log::Level::Info,
        Level::DEBUG => log::Level::Debug,
        Level::TRACE => log::Level::Trace,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn an_event_carries_the_fields_of_its_spans() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        let layer = SpanFields {
            flood: Flood::new(|| Duration::ZERO),
            take: move |_: &Metadata<'_>, fields: &Fields| {
                keep.lock().unwrap().push(fields.clone());
            },
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let call = tracing::info_span!("call", call.sid = "CA1", late = tracing::field::Empty);
            call.record("late", 7);
            let stage = tracing::info_span!(parent: &call, "stage", stage = "transcript", late = 8);
            stage.in_scope(|| tracing::info!(event = "call.started", "the call begins"));
        });
        let fields = kept.lock().unwrap().remove(0);
        assert_eq!(fields.message, "the call begins");
        let has =
            |name: &str, value: &str| fields.pairs.contains(&(name.to_owned(), value.to_owned()));
        assert!(
            has("call.sid", "CA1") && has("stage", "transcript") && has("event", "call.started")
        );
        assert!(has("late", "8") && !has("late", "7"), "the inner word stands");
    }

    #[test]
    fn a_flood_is_cut_short_and_told_but_no_error_and_no_line_of_a_call_is_ever_left_out() {
        static NOW_S: AtomicU64 = AtomicU64::new(0);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        let layer = SpanFields {
            flood: Flood::new(|| Duration::from_secs(NOW_S.load(Ordering::SeqCst))),
            take: move |_: &Metadata<'_>, fields: &Fields| {
                keep.lock().unwrap().push(fields.message.clone());
            },
        };
        let knock = || tracing::warn!(event = "webhook.refused", "refused");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for number in 0..1000 {
                knock();
                tracing::info!(call.sid = "CA1", "of a call");
                tracing::error!(number, "an error");
            }
            NOW_S.store(60, Ordering::SeqCst);
            knock();
            knock();
        });
        let kept = kept.lock().unwrap();
        let count = |text: &str| kept.iter().filter(|message| message.as_str() == text).count();
        assert_eq!((count("of a call"), count("an error"), count("refused")), (1000, 1000, 29 + 1));
        let told: Vec<&String> = kept.iter().filter(|message| message.contains('(')).collect();
        assert_eq!(
            told,
            [
                "refused (for a minute, more lines like this are only counted)",
                "refused (970 lines like this were left out before it)"
            ]
        );
    }
}
