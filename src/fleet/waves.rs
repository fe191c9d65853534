//! Waves: which accounts send first. The order of the file plays no part: of a number or a share, the first by name are meant.

use std::collections::HashMap;

use super::model::Wave;

/// The wave of each account, from 1, by their names, which are sorted; none of those that are in no wave. Without waves there is
/// one.
pub(super) fn of(names: &[&str], waves: &[Wave]) -> Vec<Option<usize>> {
    if waves.is_empty() {
        return vec![Some(1); names.len()];
    }
    let mut named: HashMap<&str, usize> = HashMap::new();
    for (at, wave) in waves.iter().enumerate() {
        if let Wave::Names(of_wave) = wave {
            of_wave.iter().for_each(|name| _ = named.entry(name).or_insert(at + 1));
        }
    }
    let mut found: Vec<Option<usize>> = names.iter().map(|name| named.get(name).copied()).collect();
    let mut next = 0;
    for (at, wave) in waves.iter().enumerate() {
        let mut left = match wave {
            Wave::Names(_) => 0,
            Wave::Number(number) => *number,
            // A small share of few accounts is one.
            Wave::Share(percent) => (names.len() * percent / 100).max(1),
        };
        while left > 0 && next < found.len() {
            if found[next].is_none() {
                found[next] = Some(at + 1);
                left -= 1;
            }
            next += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_accounts_first_and_then_shares_by_name() {
        let names: Vec<String> = (0..20).map(|number| format!("a{number:02}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let canary = Wave::Names(vec!["a07".into(), "a00".into()]);
        let found = of(&names, &[canary.clone(), Wave::Share(10), Wave::Number(3), Wave::Share(100)]);
        let in_wave = |wave| names.iter().zip(&found).filter(move |(_, of)| **of == Some(wave)).map(|(name, _)| *name);
        assert!(in_wave(1).eq(["a00", "a07"]));
        assert!(in_wave(2).eq(["a01", "a02"]));
        assert!(in_wave(3).eq(["a03", "a04", "a05"]));
        assert_eq!(in_wave(4).count(), 13);
        assert_eq!(of(&names, &[canary, Wave::Share(10)]).iter().filter(|wave| wave.is_none()).count(), 16);
        assert_eq!(of(&names[..2], &[]), [Some(1), Some(1)]);
        assert_eq!(of(&names[..3], &[Wave::Share(1), Wave::Share(100)]), [Some(1), Some(2), Some(2)]);
        assert_eq!(of(&names[..1], &[Wave::Share(1), Wave::Share(100)]), [Some(1)], "a wave may be empty");
    }
}
