//! `qunfa material`: the permanent library. Reads only.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    failure::Failure,
    listing::{ListArgs, asking, doubt, head, text, time, updated},
    options::Common,
    table::table,
    terminal::Terminal,
};
use crate::{
    locale::{Count, Phrase, say},
    problem::{ExitCode, Refusal},
    run::asker::{Asker, Listed, Paged, number},
    wechat::transport::Method,
};

/// Lists permanent material.
/// <https://developers.weixin.qq.com/doc/subscription/api/material/permanent/api_batchgetmaterial.html>
const PATH: &str = "/cgi-bin/material/batchget_material";
/// Counts it.
const COUNT: &str = "/cgi-bin/material/get_materialcount";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) list: ListArgs,
    /// Lists only this type [default: all]
    #[arg(long = "type", value_name = "TYPE", env = "QUNFA_TYPE", hide_env_values = true)]
    kind: Option<Kind>,
}

/// What is in the library; articles are in the draft box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Pictures
    Image,
    /// Recordings
    Voice,
    /// Videos
    Video,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Image, Self::Voice, Self::Video];

    /// The word of the API.
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Voice => "voice",
            Self::Video => "video",
        }
    }

    fn words(self) -> Phrase {
        match self {
            Self::Image => say!("pictures"),
            Self::Voice => say!("recordings"),
            Self::Video => say!("videos"),
        }
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let session = args.list.open(common, terminal)?;
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| args.kind.is_none_or(|only| only == *kind)).collect();
    let (counts, lists) = asking(&session, common, terminal, |asker| ask(asker, &kinds, args.list.limit))?;
    if args.list.wants_json() {
        let items = lists.iter().flat_map(|(kind, listed)| listed.items.iter().map(|item| in_json(*kind, item)));
        let counts: serde_json::Map<String, Value> =
            counts.iter().map(|(kind, count)| (kind.name().to_owned(), (*count).into())).collect();
        let partial = lists.iter().any(|(_, listed)| listed.partial);
        let members = json!({ "appid": session.plan.appid, "counts": counts, "partial": partial,
                              "material": items.collect::<Vec<_>>() });
        terminal.document(ExitCode::Done, members);
        return Ok(ExitCode::Done);
    }
    let mut said = String::new();
    for (kind, listed) in &lists {
        let row =
            |item: &Value| vec![time(updated(item)), text(item, "name").to_owned(), text(item, "media_id").to_owned()];
        let rows: Vec<Vec<String>> = listed.items.iter().map(row).collect();
        said.push_str(&format!("{}{}{}", head(&session, &kind.words(), listed), table(&rows), doubt(listed)));
    }
    let others = counts.iter().filter(|(kind, _)| !kinds.contains(kind));
    let others: Vec<Phrase> =
        others.map(|(kind, count)| say!("{what}: {count}", what = kind.words(), count = Count(*count))).collect();
    if !others.is_empty() {
        said.push_str(&format!("{}\n", say!("also in the library: {what}", what = crate::locale::list(others))));
    }
    terminal.out(&said);
    Ok(ExitCode::Done)
}

/// How much there is of each type, and what there is of those that are asked for.
#[expect(clippy::type_complexity, reason = "two lists of pairs")]
fn ask(
    asker: &mut Asker<'_, '_>,
    kinds: &[Kind],
    most: usize,
) -> Result<(Vec<(Kind, u64)>, Vec<(Kind, Listed)>), Refusal> {
    let what = say!("cannot count the material");
    let reply = asker.ask(&what, Method::Get, COUNT, "")?;
    let count = |kind: Kind| reply.members.get(&format!("{}_count", kind.name())).and_then(number).unwrap_or(0);
    let counts = Kind::ALL.map(|kind| (kind, count(kind))).to_vec();
    let what = say!("cannot list the material");
    let list = |kind: &Kind| {
        let paged = Paged { path: PATH, with: ("type", kind.name().into()), id: "media_id" };
        Ok((*kind, asker.list(&what, &paged, most)?))
    };
    let lists = kinds.iter().map(list).collect::<Result<Vec<_>, Refusal>>()?;
    Ok((counts, lists))
}

fn in_json(kind: Kind, item: &Value) -> Value {
    let url = Some(text(item, "url")).filter(|url| !url.is_empty());
    json!({ "type": kind.name(), "media_id": text(item, "media_id"), "name": text(item, "name"),
            "updated_at": updated(item), "url": url })
}
