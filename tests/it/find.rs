//! A call from the telephone to what an office asks of it later: what it came to, and where
//! something was said.

use serde_json::Value;

use crate::kept::telephone;
use crate::support::{Home, eventually};

#[tokio::test]
async fn a_call_is_summed_up_found_by_its_words_and_by_whose_number_it_is() {
    let home = Home::with_speech();
    let appliance = home.start().await;
    let report = appliance.play(telephone("service-call.wav"), |options| options.speed = 8.0);
    let sid = report.await.call_sid;
    let call = eventually("the summary is made", async || {
        let call = appliance.api(&format!("/calls/{sid}")).await;
        (call["summary_status"] == "completed").then_some(call)
    })
    .await;
    let summary = &call["summary"];
    assert_eq!((&summary["engine"], &summary["outcome"]), (&"extractive".into(), &"talked".into()));
    let text = summary["text"].as_str().unwrap();
    assert!(text.contains("compressor") && text.contains("7315"), "{text}");
    assert!(!summary["action_items"].as_array().unwrap().is_empty(), "{summary}");

    let contacts = home.path().join("contacts.csv");
    let from = call["from"].as_str().unwrap();
    std::fs::write(&contacts, format!("Name;Phone\nDaniel Reyes;{from}\nNobody;none\n")).unwrap();
    let told = home.run(&["contacts", "import", contacts.to_str().unwrap()]).await;
    assert!(told.out.contains("line 3: passed over") && told.out.contains("1 new"), "{told:?}");
    let listed = home.run(&["contacts", "ls"]).await;
    assert!(listed.out.contains("Daniel Reyes"), "{listed:?}");

    let found = home.run(&["search", "daniel", "capacitor", "party:technician", "--json"]).await;
    let found: Value = serde_json::from_str(&found.out).unwrap();
    let hit = &found["hits"][0];
    assert_eq!((&hit["call_sid"], &hit["name"]), (&sid.as_str().into(), &"Daniel Reyes".into()));
    let start_s = hit["start_s"].as_f64().unwrap();
    assert!((28.0..38.0).contains(&start_s), "{hit}");
    let told = home.run(&["search", "capacitor"]).await;
    assert!(told.out.contains(sid.as_str()) && told.out.contains("(Daniel Reyes)"), "{told:?}");
    let nothing = home.run(&["search", "zeppelin"]).await;
    assert_eq!(nothing.out, "nothing found\n");
    let shown = home.run(&["calls", "show", sid.as_str()]).await;
    assert!(shown.out.contains("to do: "), "{shown:?}");
    appliance.stop().await;
}
