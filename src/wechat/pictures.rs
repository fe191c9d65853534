//! Pictures that WeChat has, from the hosts that serve them: no token goes there, and no redirect is followed.

use std::{collections::HashMap, time::Duration};

use super::{
    http::{ApiBase, Http, Proxy},
    transport::{Body, Failure, Method, Request, Transport},
};
use crate::{
    content::article::is_hosted,
    limits,
    locale::{Count, Phrase, say},
};

/// Fetches pictures. In a rehearsal on this machine the server of the API is asked, which has the pictures at the same path:
/// nothing leaves the machine.
pub(crate) struct Pictures {
    base: ApiBase,
    proxy: Option<Proxy>,
    timeout: Duration,
    abandon: fn() -> bool,
    /// A connection for each host.
    hosts: HashMap<String, Http>,
}

impl Pictures {
    pub(crate) fn new(base: ApiBase, proxy: Option<Proxy>, timeout: Duration, abandon: fn() -> bool) -> Self {
        Self { base, proxy, timeout, abandon, hosts: HashMap::new() }
    }

    /// The bytes at an address; an error says why there are none.
    pub(crate) fn get(&mut self, address: &str) -> Result<Vec<u8>, Phrase> {
        let (host, path) = parts(address).ok_or_else(|| say!("it is not an address of WeChat's pictures"))?;
        let base = match self.base.loopback {
            true => self.base.clone(),
            false => ApiBase::parse(&format!("https://{host}"))?,
        };
        let (proxy, abandon) = (self.proxy.clone(), self.abandon);
        let http = self.hosts.entry(host).or_insert_with(|| Http::new(base, proxy, abandon));
        let request = Request {
            method: Method::Get,
            path: &path,
            query: &[],
            headers: &[],
            body: Body::Json(""),
            timeout: self.timeout,
        };
        let answer = http.send(&request).map_err(|failure| match failure {
            Failure::NotSent(why) | Failure::MaybeSent(why) => why,
        })?;
        match answer.status {
            200 if answer.body.len() as u64 >= limits::MATERIAL_BYTES => {
                let bytes = Count::from(answer.body.len());
                Err(say!("it has {bytes} bytes, which is more than any picture of WeChat's", bytes))
            }
            200 => Ok(answer.body),
            status @ 300..400 => Err(say!("HTTP {status}: a redirect, which is not followed", status)),
            status => Err(say!("HTTP {status}", status)),
        }
    }
}

/// The host and the rest of an address of WeChat's pictures.
fn parts(address: &str) -> Option<(String, String)> {
    let address = address.trim();
    let is_plain = address.len() <= limits::PICTURE_ADDRESS_BYTES
        && address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'@'));
    if !is_plain || !is_hosted(address) {
        return None;
    }
    let (_, rest) = address.split_once("//")?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some((host.to_ascii_lowercase(), format!("{slash}{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_pictures_are_asked() {
        let found = |address: &str| parts(address).map(|(host, path)| format!("{host} {path}"));
        for (address, asked) in [
            ("http://mmbiz.qpic.cn/mmbiz_png/a/0?wx_fmt=png#x", "mmbiz.qpic.cn /mmbiz_png/a/0?wx_fmt=png"),
            ("https://MMBIZ.qpic.cn", "mmbiz.qpic.cn /"),
            ("//mmbiz.qlogo.cn?a=1", "mmbiz.qlogo.cn /?a=1"),
        ] {
            assert_eq!(found(address).as_deref(), Some(asked));
        }
        for address in [
            "",
            "a.png",
            "ftp://mmbiz.qpic.cn/a",
            "https://x.cn/a",
            "https://mmbiz.qpic.cn.x.cn/a",
            "https://mmbiz.qpic.cn:8080/a",
            "https://x@mmbiz.qpic.cn/a",
            "https://mmbiz.qpic.cn/a@b",
            "https://mmbiz.qpic.cn/a b",
            "https://mmbiz.qpic.cn/茶",
            "https://mmbiz.qpic.cn/\r\nX: y",
            &format!("https://mmbiz.qpic.cn/{}", "a".repeat(3000)),
        ] {
            assert_eq!(found(address), None, "{address}");
        }
    }
}
