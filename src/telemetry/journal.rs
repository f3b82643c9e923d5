//! Lines to journald, with the fields of their spans.

use systemd_journal_logger::JournalLog;
use tracing::{Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::Fields;

/// Hands every event over with the fields of the spans around it.
pub(super) struct SpanFields<F> {
    take: F,
}

/// Returns a layer that sends every event to journald as one entry: `call.sid` of a span becomes
/// `CALL_SID`.
pub(super) fn connect() -> std::io::Result<SpanFields<impl Fn(&Metadata<'_>, &Fields)>> {
    let journal = JournalLog::new()?.with_syslog_identifier("fieldtape".to_owned());
    Ok(SpanFields {
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
        (self.take)(event.metadata(), &fields);
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
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn an_event_carries_the_fields_of_its_spans() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&kept);
        let layer = SpanFields {
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
}
