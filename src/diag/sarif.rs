//! SARIF 2.1.0, the format of code scanning. <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use serde_json::{Value, json};

use super::{
    Code, Severity,
    finding::{Checked, Finding, Place},
};
use crate::locale::{say, translated};

/// Paths count from here: the root of the repository.
const ROOT: &str = "%SRCROOT%";

/// One run over all plans, with all rules, so that a viewer can explain each finding.
pub fn document(plans: &[Checked], exit_code: u8) -> Value {
    let results: Vec<Value> = plans
        .iter()
        .flat_map(|checked| {
            checked.fingerprinted().map(|(fingerprint, finding)| result(checked, finding, &fingerprint))
        })
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Code::ALL.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { ROOT: { "description": { "text": translated("the root of the repository") } } },
            "invocations": [{ "executionSuccessful": true, "exitCode": exit_code }],
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn rule(code: Code) -> Value {
    let info = code.info();
    let explanation = translated(info.explanation);
    json!({
        "id": info.id,
        "name": info.name,
        "shortDescription": { "text": info.name.replace('-', " ") },
        "fullDescription": { "text": explanation },
        "help": { "text": format!("{explanation}\n\nqunfa explain {}", info.id) },
        "defaultConfiguration": { "level": level(info.severity) },
    })
}

fn result(checked: &Checked, finding: &Finding, fingerprint: &str) -> Value {
    // What belongs to no file is the plan's: viewers drop what has no place.
    let location = finding.place.as_ref().map_or_else(
        || json!({ "physicalLocation": { "artifactLocation": artifact(&checked.plan) } }),
        |place| json!({ "physicalLocation": physical(place) }),
    );
    let related = |(number, place): (usize, &Place)| {
        let words = if place.label.is_empty() { say!("see here") } else { place.label.clone() };
        json!({ "id": number, "physicalLocation": physical(place), "message": { "text": words } })
    };
    let mut result = json!({
        "ruleId": finding.code,
        "ruleIndex": Code::ALL.iter().position(|code| code.info().id == finding.code),
        "level": level(finding.severity),
        "message": { "text": finding.text() },
        "locations": [location],
        "partialFingerprints": { "qunfa/v1": fingerprint },
    });
    if !finding.related.is_empty() {
        result["relatedLocations"] = finding.related.iter().enumerate().map(related).collect();
    }
    result
}

fn physical(place: &Place) -> Value {
    json!({
        "artifactLocation": artifact(&place.file),
        "region": {
            "startLine": place.line, "startColumn": place.column,
            "endLine": place.end_line, "endColumn": place.end_column,
            "byteOffset": place.byte_start, "byteLength": place.byte_end - place.byte_start,
        },
    })
}

/// A path as a URI: relative ones below the root.
fn artifact(path: &str) -> Value {
    let path = path.replace(std::path::MAIN_SEPARATOR, "/");
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    if std::path::Path::new(&path).is_absolute() {
        json!({ "uri": format!("file://{}{uri}", if uri.starts_with('/') { "" } else { "/" }) })
    } else {
        json!({ "uri": uri, "uriBaseId": ROOT })
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::sample;
    use super::*;
    use crate::locale::{Language, tests::speaking};

    #[test]
    fn findings_of_code_scanning() {
        let mut document = document(&[sample()], 3);
        let rules = document["runs"][0]["tool"]["driver"]["rules"].take();
        assert_eq!(rules.as_array().map(Vec::len), Some(Code::ALL.len()));
        insta::assert_json_snapshot!(rules[0]);
        let driver = &mut document["runs"][0]["tool"]["driver"];
        driver["version"] = "VERSION".into();
        driver["semanticVersion"] = "VERSION".into();
        insta::assert_json_snapshot!(document);
    }

    #[test]
    fn rules_are_in_the_language_of_the_reader_and_fingerprints_are_not() {
        let of = |language| speaking(language, || document(&[sample()], 3)["runs"][0].take());
        let [english, chinese] = [Language::En, Language::Zh].map(of);
        let place = "/originalUriBaseIds/%SRCROOT%/description/text";
        assert_eq!(chinese.pointer(place), Some(&"仓库的根目录".into()));
        let explained = |run: &Value| run["tool"]["driver"]["rules"][0]["fullDescription"]["text"].clone();
        assert_ne!(explained(&english), explained(&chinese));
        let fingerprints = |run: &Value| -> Vec<Value> {
            let results = run["results"].as_array().expect("a list");
            results.iter().map(|result| result["partialFingerprints"].clone()).collect()
        };
        assert_eq!(fingerprints(&english), fingerprints(&chinese));
    }

    /// What the standard demands of the parts that are used here.
    #[test]
    fn the_shape_is_that_of_the_standard() {
        let _heard = crate::locale::tests::heard("diag-sarif-the_shape_is_that_of_the_standard");
        let document = document(&[sample()], 3);
        assert_eq!(document["version"], "2.1.0");
        let run = &document["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("a list");
        for result in run["results"].as_array().expect("a list") {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert_eq!(rules[index]["defaultConfiguration"]["level"], result["level"]);
            assert!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
            let places = result["locations"].as_array().expect("a list").iter();
            for place in places.chain(result["relatedLocations"].as_array().into_iter().flatten()) {
                let place = &place["physicalLocation"];
                let uri = place["artifactLocation"]["uri"].as_str().expect("text");
                assert!(uri.is_ascii() && !uri.contains(' ') && run["originalUriBaseIds"][ROOT].is_object(), "{uri}");
                if let Some(region) = place["region"].as_object() {
                    let number = |name: &str| region[name].as_u64().expect("a number");
                    assert!(number("startLine") >= 1 && number("startColumn") >= 1);
                    let (start, end) =
                        ((number("startLine"), number("startColumn")), (number("endLine"), number("endColumn")));
                    assert!(start <= end, "{region:?}");
                }
            }
        }
    }

    #[test]
    fn paths_are_uris() {
        assert_eq!(artifact("活动/a b.yaml"), json!({ "uri": "%E6%B4%BB%E5%8A%A8/a%20b.yaml", "uriBaseId": ROOT }));
        assert_eq!(artifact("<stdin>")["uri"], "%3Cstdin%3E");
        #[cfg(unix)]
        assert_eq!(artifact("/a/b"), json!({ "uri": "file:///a/b" }));
    }
}
