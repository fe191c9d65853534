//! The committed schemas are those of the types.

use std::{fs, path::Path};

use qunfa::{
    diag::finding::Document,
    plan::schema::{generate_plan, generate_printed},
    report::{Report, checkup::Checkup, fleet::FleetReport, readers::Statistics},
};

fn current(name: &str, generated: &serde_json::Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    let text = format!("{generated:#}\n");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::write(&path, &text).expect("the folder is writable");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{name} is not that of the types: run UPDATE_SCHEMAS=1 cargo test schemas_are_current");
}

#[test]
fn schemas_are_current() {
    current("plan.schema.json", &generate_plan());
    current("fleet.schema.json", &qunfa::fleet::schema::generate());
    current("report.schema.json", &generate_printed::<Report>("urn:qunfa:report:1"));
    current("fleet-status.schema.json", &generate_printed::<FleetReport>("urn:qunfa:fleet-status:1"));
    current("diagnostics.schema.json", &generate_printed::<Document>("urn:qunfa:diagnostics:1"));
    current("doctor.schema.json", &generate_printed::<Checkup>("urn:qunfa:doctor:1"));
    current("stats.schema.json", &generate_printed::<Statistics>("urn:qunfa:stats:1"));
}

/// An editor checks a whole plan against the published schema, branches and all.
#[test]
fn the_published_schema_takes_what_is_right() {
    let schema = generate_plan();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let read = |folder: &str| {
        let mut plans = Vec::new();
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(folder))
            .expect("readable")
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let text = String::from_utf8_lossy(&fs::read(entry.path()).expect("readable"))
                .trim_start_matches('\u{feff}')
                .to_owned();
            if let Ok(value) = serde_yaml::from_str::<serde_json::Value>(&text) {
                plans.push((name, value));
            }
        }
        plans
    };
    for (name, plan) in read("ok") {
        let errors: Vec<String> = validator.iter_errors(&plan).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    let wrong = [
        "unknown-key-in-step",
        "to-two-ways",
        "speed-out-of-range",
        "foreach-without-key",
        "unknown-action",
        "delete-two-ways",
    ];
    for (name, plan) in read("err").into_iter().filter(|(name, _)| wrong.iter().any(|wrong| name.starts_with(wrong))) {
        assert!(!validator.is_valid(&plan), "{name}");
        // No error speaks of another action.
        let errors: Vec<String> = validator.iter_errors(&plan).map(|error| error.to_string()).collect();
        assert!(errors.len() <= 2, "{name}: {errors:?}");
    }
}

#[test]
fn the_published_schema_takes_the_fleet_of_the_examples() {
    let validator = jsonschema::validator_for(&qunfa::fleet::schema::generate()).expect("a schema");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fleet/fleet.yaml");
    let text = fs::read_to_string(path).expect("readable");
    let fleet: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
    let errors: Vec<String> = validator.iter_errors(&fleet).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

/// A date of the run changes at midnight, when a plan may be half sent: it is no example.
#[test]
fn occurrences_that_are_shown_do_not_change_while_a_plan_is_sent() {
    let occurrence = generate_plan()["properties"]["occurrence"].clone();
    assert!(occurrence["examples"].is_array() && !occurrence.to_string().contains("run."), "{occurrence}");
}

#[test]
fn schemas_are_described_in_chinese() {
    for name in ["plan", "fleet", "fleet-status", "report", "diagnostics", "doctor", "stats"] {
        let said = crate::support::Case::new().speaks("zh").run(&["schema", name]).exits(0).stdout;
        insta::assert_snapshot!(format!("schema-{name}@zh"), said);
    }
}
