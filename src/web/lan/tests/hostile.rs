//! Whatever people say, write, are called or have a model make up of it: on the page it is text.

use super::*;

/// What markup, scripts, tables and terminals could take for their own.
const STRINGS: [&str; 25] = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</textarea><iframe src=javascript:alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)' autofocus='",
    "`${alert(1)}`",
    "--><script>alert(1)</script><!--",
    "]]><x/>",
    "<!--",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;b&#62; &amp;amp;",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% raw %} ${7*7} <%= 7 %>",
    "=HYPERLINK(\"http://x.example\")",
    "+1+cmd|' /C calc'!A0",
    "@SUM(1,1)",
    "-2+3",
    "\u{202e}gnp.exe",
    "\u{2066}ltr\u{2069} \u{200f}rtl",
    "a\u{0}b\u{7}c\u{1b}[31mred",
    "'); drop table calls; --",
    "a\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{fdfa} \u{fffd} \u{feff}",
];

/// Each of them by itself and in three kinds of company: a hundred.
fn strings() -> impl Iterator<Item = String> {
    let company: [fn(&str) -> String; 4] = [
        |one| one.to_owned(),
        |one| format!("\">{one}"),
        |one| format!("'>\n</p></li></ul>{one}"),
        |one| format!("שלום {one} مرحبا"),
    ];
    STRINGS.into_iter().flat_map(move |one| company.map(|with| with(one)))
}

/// A page up to the end of what it shows of a call.
fn head(page: &str) -> &str {
    let before = page.split("<nav").next().unwrap_or_default();
    before.split("</main>").next().unwrap_or_default()
}

/// What a browser takes for markup: every tag, and how many quotes there are.
fn markup(page: &str) -> (Vec<&str>, usize, usize) {
    let tags = page.split('<').skip(1);
    let tags = tags.map(|part| part.split([' ', '\n', '>']).next().unwrap_or_default());
    (tags.collect(), page.matches('"').count(), page.matches('\'').count())
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;");
    text.replace('"', "&#34;").replace('\'', "&#39;")
}

impl Office {
    /// A call in which all that comes from outside is this.
    async fn call_of(&self, n: u32, text: &str) {
        let place = || vec![Stretch { start_ms: 0, end_ms: 900 }];
        let contact = Contact { number: "+15125550143".to_owned(), name: text.to_owned() };
        self.store.import_contacts(vec![contact], true, text.to_owned(), at(1)).await.unwrap();
        self.finished_call(n).await;
        self.transcribe(&[(Party::Technician, 0, &format!("capacitor {text}"))]).await;
        self.store.add_note(sid(n), text.to_owned(), text.to_owned(), at(1)).await.unwrap();
        let call = self.store.call(&sid(n)).await.unwrap().unwrap().call.id;
        let action = ActionItem {
            id: None,
            text: text.to_owned(),
            who: vec![Party::Agent],
            due: Some(text.to_owned()),
            places: place(),
            done_at: None,
        };
        // Its lines are shown one by one.
        let line = text.replace('\n', " ");
        let summary = SummaryRow {
            engine: "openai".to_owned(),
            model: Some(text.to_owned()),
            outcome: Outcome::Talked,
            ended_by: None,
            text: line.clone(),
            covers: 1.0,
            left_out: 0,
            statements: vec![Statement { party: None, text: line, places: place() }],
            actions: vec![action],
            words_at: Some(at(1)),
        };
        self.store.keep_summary(call, summary, at(9)).await.unwrap();
    }
}

#[tokio::test]
async fn a_hundred_hostile_strings_are_text_wherever_they_stand() {
    let office = Office::new().await;
    office.call_of(1, "plain").await;
    let paths = |n: u32| [format!("/calls/{}", sid(n)), "/search?q=capacitor&limit=1".to_owned()];
    let mut plain = Vec::new();
    for path in paths(1) {
        plain.push(office.get(&path).await);
    }
    let mut count = 1;
    for (text, n) in strings().zip(2..) {
        office.call_of(n, &text).await;
        for (path, plain) in paths(n).into_iter().zip(&plain) {
            let page = office.get(&path).await;
            let shown = page.text();
            // Where there are older calls, a link to them follows.
            assert_eq!(markup(head(shown)), markup(head(plain.text())), "{text:?} {path}\n{shown}");
            assert!(shown.contains(&escaped(&text)), "{text:?} {path}\n{shown}");
        }
        let call = office.get(&format!("/api/v1/calls/{}", sid(n))).await.json();
        for told in [
            &call["name"],
            &call["notes"][0]["text"],
            &call["notes"][0]["author"],
            &call["summary"]["actions"][0]["text"],
            &call["summary"]["action_items"][0],
        ] {
            assert_eq!(told, text.as_str());
        }
        count += 1;
    }
    assert_eq!(count, 101);
}

#[tokio::test]
async fn whatever_is_typed_is_looked_for_and_shown_as_text() {
    let office = Office::new().await;
    office.call_of(1, "plain").await;
    for text in strings() {
        let typed: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let page = office.get(&format!("/search?q={typed}")).await;
        assert_eq!(page.status, 200, "{text:?}");
        let value = format!("value=\"{}\"", escaped(&text));
        assert!(page.text().contains(&value), "{text:?}\n{}", page.text());
        let listed = office.get(&format!("/?q={typed}&number={typed}")).await;
        assert_eq!(listed.status, 200, "{text:?}");
        assert!(!listed.text().contains("alert(1)</script>"));
    }
}
