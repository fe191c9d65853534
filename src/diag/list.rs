//! What was found, as it is raised: each thing once, with all that it is about.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    ops::Deref,
};

use super::{Code, Diagnostic, Label, Severity, source::Span};
use crate::{
    limits,
    locale::{Count, Phrase, say},
};

/// What of a plan a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Index of the step in the plan.
    pub(crate) step: usize,
    /// Which of its instances, from 0; none if the step as a whole.
    pub(crate) instance: Option<usize>,
    /// Which article of the instance, from 0.
    pub(crate) article: Option<usize>,
    /// Before the block of the article that it is about: in which piece of its HTML, and after how many bytes of it.
    pub(crate) block: Option<(usize, usize)>,
}

impl Origin {
    pub fn step(step: usize) -> Self {
        Self { step, instance: None, article: None, block: None }
    }

    pub fn instance(step: usize, instance: usize) -> Self {
        Self { instance: Some(instance), ..Self::step(step) }
    }

    pub fn article(step: usize, instance: usize, article: usize) -> Self {
        Self { article: Some(article), ..Self::instance(step, instance) }
    }
}

/// All findings of a plan in the order in which they were raised first. The instances of a step find the same problems at
/// the same places: such a problem is one finding of several origins. No more errors and no more warnings are kept than
/// [`limits::DIAGNOSTICS_KEPT`]: the last one then says so, and whoever looks for more errors may stop.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    known: HashMap<(Code, Option<Span>), Vec<usize>>,
    origin: Option<Origin>,
    raised: usize,
    errors: usize,
    /// How many different errors, and warnings, there were.
    kept: [usize; 2],
}

impl Diagnostics {
    /// What is raised from now on is about this; gives what it was about until now.
    pub fn about(&mut self, origin: Option<Origin>) -> Option<Origin> {
        std::mem::replace(&mut self.origin, origin)
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.raise(diagnostic, self.origin);
    }

    /// What was found in an article, at a block of it.
    pub fn push_in(&mut self, diagnostic: Diagnostic, block: Option<(usize, usize)>) {
        self.raise(diagnostic, self.origin.map(|origin| Origin { block, ..origin }));
    }

    fn raise(&mut self, mut diagnostic: Diagnostic, origin: Option<Origin>) {
        diagnostic.origins.extend(origin);
        self.raised += 1;
        self.errors += usize::from(diagnostic.severity() == Severity::Error);
        diagnostic.shorten();
        let place = (diagnostic.code, diagnostic.primary.as_ref().map(|label| label.span.clone()));
        let mut alike = self.known.get(&place).into_iter().flatten();
        if let Some(at) = alike.find(|at| self.list[**at].message == diagnostic.message) {
            self.list[*at].origins.append(&mut diagnostic.origins);
            return;
        }
        let kept = &mut self.kept[usize::from(diagnostic.severity() == Severity::Warning)];
        *kept += 1;
        match (*kept).cmp(&limits::DIAGNOSTICS_KEPT) {
            Ordering::Less => {}
            Ordering::Equal => diagnostic = too_many(diagnostic),
            Ordering::Greater => return,
        }
        self.known.entry(place).or_default().push(self.list.len());
        self.list.push(diagnostic);
    }

    /// Whether this was raised before: there is no need to find out again what helps.
    pub fn knows(&self, code: Code, place: &Span, message: &Phrase) -> bool {
        let alike = self.known.get(&(code, Some(place.clone())));
        alike.into_iter().flatten().any(|at| self.list[*at].message == *message)
    }

    /// Whether no new error is kept any more.
    pub fn is_full(&self) -> bool {
        self.kept[0] >= limits::DIAGNOSTICS_KEPT
    }

    /// How often something was raised so far, what was known already included.
    pub fn raised(&self) -> usize {
        self.raised
    }

    /// How often an error was raised so far, what was known already included.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Says of what is wrong with some rows of a `foreach` which ones these are: `place` gives the place of a row, and what
    /// is said there, and `rows` how many a step has. What is wrong with each row is no matter of rows.
    pub fn name_rows(&mut self, rows: &dyn Fn(usize) -> usize, place: &dyn Fn(Origin) -> Option<(Span, Phrase)>) {
        let mut told = HashSet::new();
        let mut again = Vec::new();
        for (at, diagnostic) in self.list.iter_mut().enumerate() {
            let instance = |origin: &Origin| origin.instance.map(|instance| (origin.step, instance));
            let mut found: Vec<(usize, usize)> = diagnostic.origins.iter().filter_map(instance).collect();
            found.sort_unstable();
            found.dedup();
            let Some((step, first)) = found.first().copied() else { continue };
            let all = rows(step);
            if all > 1 && found.iter().filter(|(of, _)| *of == step).count() >= all {
                continue;
            }
            let Some((span, words)) = place(Origin::instance(step, first)) else { continue };
            // A value that is wrong is wrong wherever it is put in.
            let of_value = matches!(
                diagnostic.code,
                Code::TemplateFailed | Code::NotText | Code::UndefinedName | Code::NumberForm
            );
            if of_value && !told.insert((diagnostic.code, diagnostic.message.to_string(), step, first)) {
                again.push(at);
                continue;
            }
            let inside = |label: &Label| {
                label.span.file == span.file && label.span.start >= span.start && label.span.end <= span.end
            };
            let known = diagnostic.primary.iter().chain(&diagnostic.related).any(inside);
            let words = match found.len() - 1 {
                0 => words,
                more => say!("{row}, and {more} more row" | "{row}, and {more} more rows", more, row = words),
            };
            // It points to the row itself already.
            if !known {
                diagnostic.related.push(Label { span, text: words });
            }
        }
        if !again.is_empty() {
            let mut numbers = 0..;
            self.retain(|_| numbers.next().is_some_and(|at| again.binary_search(&at).is_err()));
        }
    }

    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.list
    }

    /// Takes back what was raised too much.
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        let mut list = std::mem::take(&mut self.list);
        list.retain(keep);
        let origin = self.origin;
        *self = list.into_iter().collect();
        self.origin = origin;
    }
}

/// The last finding, in place of the one that would be one too many.
fn too_many(last: Diagnostic) -> Diagnostic {
    let most = Count(limits::DIAGNOSTICS_KEPT as u64 - 1);
    let (code, what) = match last.severity() {
        Severity::Error => {
            (Code::TooManyProblems, say!("there are more than {most} errors; the rest are not listed", most))
        }
        Severity::Warning => {
            (Code::TooManyWarnings, say!("there are more than {most} warnings; the rest are not listed", most))
        }
    };
    let Diagnostic { primary, origins, .. } = last;
    let all = Diagnostic::nowhere(code, what).help(say!("fix the listed ones first"));
    Diagnostic { primary, origins, ..all }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(diagnostics: T) -> Self {
        let mut all = Self::default();
        all.extend(diagnostics);
        all
    }
}

impl Deref for Diagnostics {
    type Target = [Diagnostic];

    fn deref(&self) -> &[Diagnostic] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::source::SourceMap;

    #[test]
    fn the_last_finding_says_that_there_are_more() {
        let _heard = crate::locale::tests::heard("diag-list-the_last_finding_says_that_there_are_more");
        let file = SourceMap::default().add("plan.yaml", "text".into());
        let found = |number: usize| Diagnostic::new(Code::UnknownKey, Span::new(file, number..number), "x");
        let mut all = Diagnostics::default();
        all.extend((0..limits::DIAGNOSTICS_KEPT - 1).map(found));
        assert!(!all.is_full() && all.iter().all(|found| found.code == Code::UnknownKey));
        all.extend((0..2_000).map(found));
        assert!(all.is_full());
        assert_eq!((all.len(), all.raised()), (limits::DIAGNOSTICS_KEPT, limits::DIAGNOSTICS_KEPT - 1 + 2_000));
        let last = all.last().expect("one");
        assert_eq!(last.code, Code::TooManyProblems);
        assert_eq!(last.primary.as_ref().expect("a place").span, Span::new(file, 999..999));
        let warned = |number: usize| Diagnostic::new(Code::LongText, Span::new(file, number..number), "x");
        let mut all = Diagnostics::default();
        all.extend((0..2_000).map(warned));
        assert!(all.last().expect("one").message.to_string().starts_with("there are more than 999 warnings"));
    }

    #[test]
    fn what_is_raised_again_is_one_finding_of_both() {
        let file = SourceMap::default().add("plan.yaml", "text".into());
        let found = |message: &str| Diagnostic::new(Code::LongText, Span::new(file, 0..4), message);
        let mut all = Diagnostics::default();
        for instance in 0..2 {
            all.about(Some(Origin::instance(3, instance)));
            all.push(found("long"));
        }
        all.about(None);
        all.push(Diagnostic::new(Code::UnknownKey, Span::new(file, 0..4), "long"));
        all.push(found("longer"));
        assert_eq!(all.len(), 3);
        let knows =
            |message: &'static str| all.knows(Code::LongText, &Span::new(file, 0..4), &Phrase::verbatim(message));
        assert!(knows("longer") && !knows("shorter"));
        assert_eq!(all[0].origins, [Origin::instance(3, 0), Origin::instance(3, 1)]);
        assert!(all[1..].iter().all(|found| found.origins.is_empty()));
        assert_eq!((all.raised(), all.errors()), (4, 1));
        all.retain(|found| found.severity() == Severity::Warning);
        assert_eq!((all.len(), all.errors()), (2, 0), "what is taken back was no error");
    }
}
