//! The committed schemas are those of the types.

use std::{fs, path::Path};

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
    current("plan.schema.json", &qunfa::plan::schema::generate_plan());
    current("report.schema.json", &qunfa::plan::schema::generate_report());
}
