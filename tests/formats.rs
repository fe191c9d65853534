//! What programs read: one document on standard output, whatever happens, in a shape that is written down.

use serde_json::{Value, json};

use crate::{
    doctor::plan as steady,
    support::{Answer, Case, Fake, plan, repository, send},
};

fn schema(name: &str) -> jsonschema::Validator {
    let path = repository().join(format!("schemas/{name}.schema.json"));
    let text = std::fs::read_to_string(path).expect("is there");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema")
}

#[track_caller]
pub(crate) fn holds(name: &str, document: &Value) {
    let errors: Vec<String> = schema(name).iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {document:#}");
}

fn wrong() -> Case {
    let steps = send("one").replace("id: one", "id: 第一").replace("message", "mesage")
        + &send("two").replace("text: 你好", "text: \"http://a.example 你好\"");
    Case::new().file("活动/plan.yaml", plan(&steps)).file("good.yaml", plan(&send("one")))
}

#[test]
fn findings_are_data() {
    let case = wrong();
    let document = case.run(&["validate", "活动/plan.yaml", "good.yaml", "--format", "json"]).exits(3).json();
    holds("diagnostics", &document);
    assert_eq!((&document["schema"], &document["exit_code"]), (&json!(1), &json!(3)));
    assert!(document["plans"][1]["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")));
    let text = case.read("活动/plan.yaml");
    let finding = &document["plans"][0]["diagnostics"][0];
    let place = &finding["place"];
    let number = |name: &str| usize::try_from(place[name].as_u64().expect("a number")).expect("small");
    // Lines, columns and bytes name the same words.
    let words = &text[number("byte_start")..number("byte_end")];
    let line = text.lines().nth(number("line") - 1).expect("a line");
    let characters: String =
        line.chars().skip(number("column") - 1).take(number("end_column") - number("column")).collect();
    assert_eq!((words, number("line")), (characters.as_str(), number("end_line")), "{finding:#}");
    // Every command says so in the same document.
    for command in [
        &["run", "活动/plan.yaml", "--sandbox"][..],
        &["status", "活动/plan.yaml"],
        &["report", "活动/plan.yaml"],
        &["audience", "活动/plan.yaml", "one"],
        &["settle", "活动/plan.yaml", "one", "--not-sent"],
        &["token", "show", "活动/plan.yaml"],
        &["doctor", "活动/plan.yaml"],
    ] {
        let refused = case.run(&[command, &["--format", "json"]].concat()).exits(3).json();
        assert_eq!(refused["plans"][0], document["plans"][0], "{command:?}");
    }
}

#[test]
fn findings_for_other_tools() {
    let case = wrong().file(".git/HEAD", "");
    let args = ["validate", "活动/plan.yaml", "good.yaml", "--format"];
    let validate = |format: &str| case.run(&[&args[..], &[format]].concat()).exits(3);
    let sarif = validate("sarif").json();
    let results = sarif["runs"][0]["results"].as_array().expect("a list").clone();
    assert_eq!(
        results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "%E6%B4%BB%E5%8A%A8/plan.yaml"
    );
    assert_eq!(sarif["runs"][0]["invocations"][0]["exitCode"], 3);
    let gitlab = validate("gitlab").json();
    assert_eq!(gitlab.as_array().map(Vec::len), Some(results.len()));
    assert_eq!(gitlab[0]["location"], json!({ "path": "活动/plan.yaml", "lines": { "begin": 6 } }));
    assert_eq!(gitlab[0]["fingerprint"], results[0]["partialFingerprints"]["qunfa/v1"]);
    let github = validate("github").stdout;
    assert_eq!(github.lines().count(), results.len(), "{github}");
    assert!(github.starts_with("::error file=活动/plan.yaml,line=6,col="), "{github}");
    // A plan that is right gives documents too, without findings.
    case.write("good.yaml", steady(&send("one")));
    let good = |format: &str| case.run(&["validate", "good.yaml", "--format", format]).exits(0);
    assert_eq!(good("sarif").json()["runs"][0]["results"], json!([]));
    assert_eq!(good("gitlab").json(), json!([]));
    assert_eq!(good("github").stdout, "");
    // What is not there is a finding of the plan.
    let missing = case.run(&["validate", "nowhere.yaml", "--format", "sarif"]).exits(4).json();
    let place = &missing["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"];
    assert_eq!(place["uri"], "nowhere.yaml");
}

#[test]
fn failures_are_documents_too() {
    let case = wrong();
    for (args, code) in [
        (&["report", "good.yaml"][..], 4),
        (&["settle", "good.yaml", "one", "--not-sent"], 2),
        (&["audience", "good.yaml", "nobody"], 2),
        (&["explain", "424242"], 2),
        (&["token", "refresh"], 2),
        (&["run", "good.yaml", "--sandbox", "--report", "pdf=x"], 2),
        (&["status", "good.yaml", "--state", "nowhere"], 2),
        (&["doctor", "good.yaml", "--fault", "lost"], 2),
    ] {
        let document = case.run(&[args, &["--format", "json"]].concat()).exits(code).json();
        assert_eq!((&document["schema"], &document["exit_code"]), (&json!(1), &json!(code)), "{args:?}");
        assert!(document["error"]["message"].is_string() && document["error"]["help"].is_array(), "{document:#}");
    }
    // A run that is refused has a report, and nothing else.
    let refused = case.run(&["run", "good.yaml", "--format", "json"]).exits(9).json();
    holds("report", &refused);
    assert_eq!(refused["outcome"], "refused");
}

#[test]
fn results_are_documents() {
    let (case, server) = (wrong(), Fake::scripted("sendall", vec![Answer::Close; 9]));
    let run = |args: &[&str]| case.run(&[args, &["--api-base", &server.base, "--format", "json"]].concat());
    run(&["run", "good.yaml", "--yes"]).exits(7);
    for args in
        [&["status", "good.yaml"][..], &["token", "show", "good.yaml"], &["token", "show"], &["explain", "Q201"]]
    {
        let document = run(args).exits(0).json();
        assert_eq!((&document["schema"], &document["exit_code"]), (&json!(1), &json!(0)), "{args:?}");
    }
    let settled = run(&["settle", "good.yaml", "one", "--sent", "12", "--reason", "seen"]).exits(0).json();
    assert_eq!(
        (&settled["settled_as"], &settled["msg_id"], &settled["step"]),
        (&json!("sent"), &json!(12), &json!("one"))
    );
    assert_eq!(run(&["status", "good.yaml"]).exits(0).json()["steps"][0]["state"], "accepted");
}
